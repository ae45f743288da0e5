import { NO_HEADERS, type RawRecord } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCommitMetadata, encodeCommitMetadata } from '../commit/commit-metadata.ts'
import type { OffsetRange, Progress } from '../commit/offset-range.ts'
import { TaskRuntime } from '../tasks/task-runtime.ts'
import { FlowControl } from './flow-control.ts'
import { PartitionCursor } from './partition-cursor.ts'
import { SourcePartition } from './source-partition.ts'
import { SubscriptionCounters } from './subscription-counters.ts'

const END = 60

/** A cursor over offsets up to `END`, as an owner gets it that takes over at `offset`. */
function takeOver(offset: number, progress: Progress, onTouched: () => void = () => {}): PartitionCursor {
  const flow = new FlowControl({ maxBufferedBytes: 1e6, pause: () => {}, resume: () => {} })
  const source = new SourcePartition({ topic: 'in', partition: 0 }, offset, flow)
  const task = new TaskRuntime({
    partitions: 1,
    partition: 0,
    assigned: [source],
    output: { taskId: '1-0', delays: 0, add: () => {}, seal: async () => {}, pending: 0, abandon: () => {} },
    listener: {
      onTouched,
      onCutWanted: () => {},
      onSpilled: () => {},
      onSpillFailed: () => {},
      onNoMore: () => {},
      onMore: () => {},
    },
  })
  const spec = { id: 'a', topics: ['in'], agent: 'a', instances: 1, ordering: 'key' } as const
  const limits = { maxUncommittedEvents: 1000, maxUncommittedBytes: 1e6, maxRecordBytes: 1e6, maxEventBytes: 1e6 }
  const cursor = new PartitionCursor(
    {
      spec,
      counters: new SubscriptionCounters(),
      task,
      source,
      keyCodec: undefined,
      flow,
      refusals: undefined,
      ...limits,
    },
    progress,
  )
  const record = (at: number): RawRecord => ({ offset: at, timestamp: 0, key: null, value: null, headers: NO_HEADERS })
  if (offset < END)
    source.push({
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
        const inHand: { readonly number: number; readonly offset: number }[] = []
        for (let i = 0; i < take; i++) {
          const record = cursor.next()
          if (record === undefined) break
          expect(handled.has(record.offset)).toBe(false)
          inHand.push({ number: cursor.tracker.hand(record.offset), offset: record.offset })
        }
        for (const pick of finish) {
          const [done] = inHand.splice(pick % Math.max(inHand.length, 1), 1)
          if (done === undefined) continue
          cursor.tracker.finish(done.number)
          handled.add(done.offset)
        }
        const now = cursor.progress()
        offset = now.position
        progress = decodeCommitMetadata(offset, encodeCommitMetadata(offset, new Map([['a', now]])).text).get('a') ?? {
          position: offset,
          finished: [],
        }
        expect(offsetsOf(progress)).toEqual(handled)
      }
    }),
  )
})

test('offsets without records behind the last event are committed too: to pass them is something for the next cut', () => {
  let touched = 0
  const cursor = takeOver(END, { position: END, finished: [] }, () => touched++)
  cursor.place.source.push({
    topic: 'in',
    partition: 0,
    position: END,
    records: [],
    nextOffset: END + 1,
    bytes: 0,
    endOffset: END + 1,
  })
  expect(cursor.next()).toBeUndefined()
  expect(touched).toBe(1)
  expect(cursor.progress()).toEqual({ position: END + 1, finished: [] })
})
