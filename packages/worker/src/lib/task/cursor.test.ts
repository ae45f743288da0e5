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

/** The cursor of an owner that takes over at `offset`, over offsets up to `END`. */
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

test('finished ranges of an earlier owner survive commits of later owners, however far those have read', () => {
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

test('offsets without records behind the last event are part of the next commit', () => {
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

test('at its bound a cursor waits for events in flight only if a commit alone makes no room', () => {
  const cursor = takeOver(0, { position: 0, finished: [] }, new TasksAlone(clock, { maxUncommitted: 4 }))
  const handOut = (): number => cursor.tracker.hand(cursor.next()?.offset ?? -1)
  const numbers = [handOut(), handOut(), handOut()]
  cursor.refresh()
  expect(cursor.waitsForEvents).toBe(false)
  numbers.push(handOut())
  cursor.refresh()
  expect(cursor.blocked).toBe(NOT_NOW.uncommitted)
  expect(cursor.waitsForEvents).toBe(true)
  // Finishing a later event does not move the position.
  cursor.tracker.finish(numbers[1] ?? -1)
  expect(cursor.waitsForEvents).toBe(true)
  cursor.tracker.finish(numbers[0] ?? -1)
  expect(cursor.waitsForEvents).toBe(false)
  cursor.committed(cursor.tracker.passed)
  expect(cursor.blocked).toBe(0)
})

/** Adds a batch to the end of the source: this many records, with this many bytes together. */
function arrive(cursor: PartitionCursor, count: number, bytes: number): void {
  const { position } = cursor.source
  cursor.source.push({
    topic: 'in',
    partition: 0,
    position,
    records: Array.from({ length: count }, (_, nth) => ({
      offset: position + nth,
      timestamp: 0,
      key: null,
      value: null,
      headers: NO_HEADERS,
    })),
    nextOffset: position + count,
    bytes,
    endOffset: position + count,
  })
}

const atEnd = (worker = new TasksAlone(clock)): PartitionCursor =>
  takeOver(END, { position: END, finished: [] }, worker)

test("hasMore is true from a batch's arrival until its last record is taken, also across empty batches", () => {
  const cursor = atEnd()
  expect([cursor.hasMore, cursor.blocked]).toEqual([false, NOT_NOW.empty])
  arrive(cursor, 2, 10)
  expect([cursor.hasMore, cursor.blocked]).toEqual([true, 0])
  expect([cursor.next()?.offset, cursor.hasMore]).toEqual([END, true])
  expect([cursor.next()?.offset, cursor.hasMore]).toEqual([END + 1, false])
  arrive(cursor, 1, 10)
  expect(cursor.hasMore).toBe(true)
  expect([cursor.next()?.offset, cursor.batchIndex]).toEqual([END + 2, 1])
  expect([cursor.next(), cursor.blocked, cursor.batchIndex]).toEqual([undefined, NOT_NOW.empty, 2])
  expect(cursor.source.bytes).toBe(0)
  expect([cursor.next(), cursor.batchIndex]).toEqual([undefined, 2])
})

test('a deferred event holds back new records only while it is deferred, and independently of other reasons', () => {
  const cursor = atEnd()
  cursor.defer(true)
  cursor.defer(true)
  expect(cursor.blocked).toBe(NOT_NOW.empty | NOT_NOW.deferred)
  arrive(cursor, 1, 1)
  expect(cursor.blocked).toBe(NOT_NOW.deferred)
  cursor.defer(false)
  cursor.defer(false)
  expect(cursor.blocked).toBe(0)
})

test('a commit is requested at half of the uncommitted limit, by number or bytes, and hand-out stops at the limit', () => {
  for (const [settings, bytes] of [
    [{ maxUncommitted: 4 }, 1],
    [{ maxUncommittedBytes: 400 }, 100],
  ] as const) {
    const worker = new TasksAlone(clock, settings)
    const cursor = atEnd(worker)
    const asked: number[] = []
    worker.commitSoon = () => void asked.push(cursor.uncommittedShare)
    // An empty cursor requests no commit, however much is uncommitted.
    for (let nth = 0; nth < 2; nth++) cursor.tracker.hand(END + nth)
    cursor.refresh()
    cursor.tracker.finish(0)
    cursor.tracker.finish(1)
    cursor.committed(2)
    expect([asked, cursor.uncommittedShare]).toEqual([[], 0])
    arrive(cursor, 10, bytes * 10)
    const take = (): void => void cursor.tracker.hand(cursor.next()?.offset ?? -1)
    take()
    expect([cursor.refresh(), cursor.uncommittedShare, asked]).toEqual([0, 0.25, []])
    take()
    expect([cursor.refresh(), asked]).toEqual([0, [0.5]])
    take()
    expect(cursor.refresh()).toBe(0)
    take()
    expect([cursor.refresh(), cursor.source.readersBlocked]).toEqual([NOT_NOW.uncommitted, NOT_NOW.uncommitted])
    // Once the events have finished, a commit alone makes room.
    cursor.tracker.finish(2)
    expect(cursor.refresh()).toBe(NOT_NOW.uncommitted)
    cursor.committed(cursor.tracker.passed)
    expect([cursor.blocked, cursor.uncommittedShare]).toEqual([0, 0.75])
  }
})

test('a partition at its uncommitted limit is not fetched until a commit', () => {
  const worker = new TasksAlone(clock, { maxUncommitted: 1 })
  const cursor = atEnd(worker)
  worker.flow.add(cursor.source)
  const paused: (readonly number[])[] = []
  worker.consumer.pause = (partitions) => void paused.push(partitions.map(({ partition }) => partition))
  worker.consumer.resume = () => {}
  arrive(cursor, 2, 1)
  const number = cursor.tracker.hand(cursor.next()?.offset ?? -1)
  cursor.refresh()
  cursor.refresh()
  expect([paused, worker.flow.pauseReason(cursor.source)]).toEqual([[[0]], 'uncommitted'])
  cursor.tracker.finish(number)
  cursor.committed(1)
  expect(worker.flow.pauseReason(cursor.source)).toBeUndefined()
  worker.flow.close()
})

test('finished records of an earlier owner are known before they are read, and skipped without an event', () => {
  const worker = new TasksAlone(clock)
  const cursor = takeOver(50, { position: 52, finished: [{ from: 54, to: 56 }] }, worker)
  expect([cursor.hasFinished(50, 52), cursor.hasFinished(50, 53), cursor.hasFinished(54, 56)]).toEqual([
    true,
    false,
    true,
  ])
  expect([cursor.next()?.offset, worker.touchedTasks.size]).toEqual([52, 1])
  cursor.tracker.hand(52)
  expect(cursor.progress()).toEqual({ position: 52, finished: [{ from: 54, to: 56 }] })
  cursor.tracker.hand(cursor.next()?.offset ?? -1)
  expect(cursor.next()?.offset).toBe(56)
  // All of the range is behind.
  expect(cursor.hasFinished(54, 56)).toBe(false)
  expect(cursor.progress()).toEqual({ position: 52, finished: [{ from: 54, to: 56 }] })
})
