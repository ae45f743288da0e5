import { expect, test } from 'vitest'
import type { InputRecord } from '../lib/input-records.ts'
import { timerDelayOf } from '../lib/timed-app.ts'
import { timedSpans } from '../lib/timed-spans.ts'
import { areOf } from './check-timed.ts'
import { expectedTimed } from './timed-oracle.ts'

const run = { seed: 1, records: 1000 }
const { windowMs, windowGraceMs, sessionGapMs, withinMs, disorderMs } = timedSpans(run.records)

function record(n: number, topic: 'c' | 'd', timestamp: number, rest: Partial<InputRecord> = {}): InputRecord {
  return { n, topic, timestamp, key: 'k', seq: n, group: 'g', headers: [], ...rest }
}

const expected = (...records: readonly InputRecord[]) => expectedTimed(records, run, 1)

test('a record is late when its window has closed by its partition, and then is in no window', () => {
  const closing = windowMs + windowGraceMs
  const { kinds, late } = expected(
    record(0, 'c', 1),
    record(1, 'c', closing - 1),
    record(2, 'c', 2),
    record(3, 'c', closing),
    record(4, 'c', 3),
  )
  expect(late).toEqual([4])
  expect([...kinds.window]).toEqual([
    [`k 0-${windowMs}`, [0, 2]],
    [`k ${windowMs}-${2 * windowMs}`, [1, 3]],
  ])
  expect([...kinds.team.values()].flat().toSorted()).toEqual([0, 1, 2, 3, 4])
})

test('a session has what is no further apart than the gap', () => {
  const { kinds } = expected(
    record(0, 'c', 2 * sessionGapMs),
    record(1, 'c', sessionGapMs),
    record(2, 'c', 3 * sessionGapMs + 1),
    record(3, 'c', 0, { key: 'other' }),
  )
  expect([...kinds.session]).toEqual([
    [`k ${sessionGapMs}-${2 * sessionGapMs}`, [1, 0]],
    [`k ${3 * sessionGapMs + 1}-${3 * sessionGapMs + 1}`, [2]],
    ['other 0-0', [3]],
  ])
})

test('records of both sides meet within the span, and the others are alone', () => {
  const { kinds } = expected(
    record(0, 'c', withinMs),
    record(1, 'd', 0),
    record(2, 'd', 2 * withinMs),
    record(3, 'd', 2 * withinMs + 1),
    record(4, 'c', withinMs, { key: 'other' }),
  )
  expect([...kinds.pair.keys()]).toEqual(['0-1', '0-2', '4-', '-3'])
})

test('the next record of a key cancels a timer that is far enough ahead', () => {
  const at = 1000 + timerDelayOf(run, 0)
  const next = (timestamp: number): readonly string[] => [
    ...expected(record(0, 'd', 1000), record(1, 'd', timestamp, { before: 0 })).times.keys(),
  ]
  expect(next(at - disorderMs)).toEqual(['0', '1'])
  expect(next(at - disorderMs - 1)).toEqual(['1'])
  expect(expected(record(0, 'd', 1000)).times.get('0')).toBe(at)
})

test('a window with its events, exactly or some of them again', () => {
  expect(areOf([2, 1], [1, 2], true)).toBe(true)
  expect(areOf([2, 1, 2], [1, 2], true)).toBe(false)
  expect(areOf([2, 1, 2], [1, 2], false)).toBe(true)
  expect(areOf([2], [1, 2], false)).toBe(false)
  expect(areOf([1, 2, 3], [1, 2], false)).toBe(false)
})
