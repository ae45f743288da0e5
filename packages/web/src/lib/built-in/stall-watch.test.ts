import { expect, test } from 'vitest'
import { StallWatch } from './stall-watch.ts'

type Source = Parameters<StallWatch['check']>[0][number]

const source = (changes: Partial<Source> = {}): Source => ({
  topic: 'posts',
  partition: 0,
  position: 5,
  committed: 5,
  endOffset: 9,
  heldAgents: [],
  lags: {},
  ...changes,
})
const STALLED = [{ topic: 'posts', partition: 0 }]

test('finds a partition with records that stands still for too long', () => {
  const watch = new StallWatch()
  expect(watch.check([source()], { nowMs: 0, afterMs: 100 })).toEqual([])
  expect(watch.check([source()], { nowMs: 100, afterMs: 100 })).toEqual([])
  expect(watch.check([source()], { nowMs: 101, afterMs: 100 })).toEqual(STALLED)
  expect(watch.check([source({ position: 6 })], { nowMs: 102, afterMs: 100 })).toEqual([])
})

test('a partition that is read but never committed stalls; one that moves does not', () => {
  const watch = new StallWatch()
  watch.check([source({ position: 9 })], { nowMs: 0, afterMs: 100 })
  expect(watch.check([source({ position: 9 })], { nowMs: 200, afterMs: 100 })).toEqual(STALLED)
  expect(watch.check([source({ position: 9, committed: 7 })], { nowMs: 300, afterMs: 100 })).toEqual([])
})

test.each([{ endOffset: 5 }, { endOffset: undefined }])('an idle partition is not stalled: %j', (figures) => {
  const watch = new StallWatch()
  watch.check([source(figures)], { nowMs: 0, afterMs: 100 })
  expect(watch.check([source(figures)], { nowMs: 1000, afterMs: 100 })).toEqual([])
})

test('a partition that left and came back starts afresh', () => {
  const watch = new StallWatch()
  watch.check([source()], { nowMs: 0, afterMs: 100 })
  watch.check([], { nowMs: 50, afterMs: 100 })
  expect(watch.check([source()], { nowMs: 150, afterMs: 100 })).toEqual([])
})

test('a partition in which only agents that are held back have something left is not stalled', () => {
  const watch = new StallWatch()
  const held = { position: 9, heldAgents: ['paused'], lags: { paused: 4, other: 0 } }
  const behind = { ...held, position: 7, lags: { paused: 4, other: 2 } }
  for (const [one, stalled] of [
    [held, []],
    [behind, STALLED],
  ] as const) {
    watch.check([source(one)], { nowMs: 0, afterMs: 100 })
    expect(watch.check([source(one)], { nowMs: 101, afterMs: 100 })).toEqual(stalled)
  }
})
