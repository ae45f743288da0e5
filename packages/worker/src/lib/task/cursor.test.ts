import { manualClock, NO_HEADERS, type RawRecord } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aCursor, aTask, cursorOwner, TasksAlone } from '../fixtures/task.fixture.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import { decodeCommitMetadata, encodeCommitMetadata } from '../records/commit-metadata.ts'
import type { OffsetRange, Progress } from '../records/positions.ts'
import type { PartitionCursor } from './cursor.ts'

const END = 60
const clock = manualClock()

/** A cursor over offsets up to `END`, as an owner gets it that takes over at `offset`. */
function takeOver(offset: number, progress: Progress, worker: TasksAlone = new TasksAlone(clock)): PartitionCursor {
  const task = aTask(worker, { topic: 'in', partition: 0 }, 1)
  const cursor = aCursor(task, worker, { subscription: cursorOwner(), start: offset, progress })
  const record = (at: number): RawRecord => ({ offset: at, timestamp: 0, key: null, value: null, headers: NO_HEADERS })
  if (offset < END)
    cursor.source.push({
      topic: 'in',
      partition: 0,
      position: offset,
      records: Array.from({ length: END - offset }, (_, i) => record(offset + i)),
      nextOffset: END,
      bytes: 1,
      endOffset: END,
    })
  return cursor
}

function offsetsOf({
  position,
  finished,
}: {
  readonly position: number
  readonly finished: readonly OffsetRange[]
}): Set<number> {
  const all = new Set(Array.from({ length: position }, (_, i) => i))
  for (const { from, to } of finished) for (let offset = from; offset < to; offset++) all.add(offset)
  return all
}

test('what an earlier owner has finished stays known, however far the next ones have read when they commit', () => {
  const owner = fc.record({ take: fc.nat(20), finish: fc.array(fc.nat(), { maxLength: 20 }) })
  fc.assert(
    fc.property(fc.array(owner, { minLength: 1, maxLength: 8 }), (owners) => {
      let offset = 0
      let progress: Progress = { position: 0, finished: [] }
      const handled = new Set<number>()
      for (const { take, finish } of owners) {
        const cursor = takeOver(offset, progress)
        const inFlight: { readonly number: number; readonly offset: number }[] = []
        for (let i = 0; i < take; i++) {
          const record = cursor.next()
          if (record === undefined) break
          expect(handled.has(record.offset)).toBe(false)
          inFlight.push({ number: cursor.tracker.hand(record.offset), offset: record.offset })
        }
        for (const pick of finish) {
          const [done] = inFlight.splice(pick % Math.max(inFlight.length, 1), 1)
          if (done === undefined) continue
          cursor.tracker.finish(done.number)
          handled.add(done.offset)
        }
        const now = cursor.progress()
        offset = now.position
        progress = decodeCommitMetadata({
          topic: 't',
          partition: 0,
          offset,
          metadata: encodeCommitMetadata(offset, new Map([['a', now]])).text,
        }).get('a') ?? {
          position: offset,
          finished: [],
        }
        expect(offsetsOf(progress)).toEqual(handled)
      }
    }),
  )
})

test('offsets without records behind the last event are committed too: to pass them is something for the next commit', () => {
  const worker = new TasksAlone(clock)
  const cursor = takeOver(END, { position: END, finished: [] }, worker)
  cursor.source.push({
    topic: 'in',
    partition: 0,
    position: END,
    records: [],
    nextOffset: END + 1,
    bytes: 0,
    endOffset: END + 1,
  })
  expect(cursor.next()).toBeUndefined()
  expect(worker.touchedTasks.size).toBe(1)
  expect(cursor.progress()).toEqual({ position: END + 1, finished: [] })
})

test('at its bound it waits for events in flight only where a commit alone makes no room', () => {
  const cursor = takeOver(0, { position: 0, finished: [] }, new TasksAlone(clock, { maxUncommitted: 4 }))
  const handOut = (): number => cursor.tracker.hand(cursor.next()?.offset ?? -1)
  const numbers = [handOut(), handOut(), handOut()]
  cursor.refresh()
  expect(cursor.waitsForEvents).toBe(false)
  numbers.push(handOut())
  cursor.refresh()
  expect(cursor.blocked).toBe(NOT_NOW.uncommitted)
  expect(cursor.waitsForEvents).toBe(true)
  // A later one does not move the position.
  cursor.tracker.finish(numbers[1] ?? -1)
  expect(cursor.waitsForEvents).toBe(true)
  cursor.tracker.finish(numbers[0] ?? -1)
  expect(cursor.waitsForEvents).toBe(false)
  cursor.committed(cursor.tracker.passed)
  expect(cursor.blocked).toBe(0)
})
