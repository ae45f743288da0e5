import { deferred, manualClock, NO_HEADERS, type TopicPartition } from '@millrace/core'
import type { PartitionOffsets } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { NOT_NOW } from '../environment/not-now.ts'
import { silentLog, testSettings } from '../fixtures/test-worker.fixture.ts'
import { FlowControl } from './flow-control.ts'
import { SourcePartition, type SourceReader } from './source-partition.ts'

/** A partition with a reader that can block and unblock it. */
function flowing() {
  const clock = manualClock()
  const calls: string[] = []
  const asked: PartitionOffsets = { topic: 't', partition: 0, beginning: 0, end: 10 }
  const broker = { end: 10, questions: 0 }
  const flow: FlowControl = new FlowControl(
    { clock, log: silentLog, settings: testSettings },
    { pause: () => void calls.push('pause'), resume: () => void calls.push('resume') },
    {
      offsets: async () => {
        broker.questions++
        return [{ ...asked, end: broker.end }]
      },
    },
  )
  const source = new SourcePartition({ topic: 't', partition: 0 }, 0, flow)
  const reader: SourceReader & { blocked: number } = {
    ...{ batchIndex: 0, blocked: 0, isDetached: false },
    ...{ restarted: () => {}, arrived: () => {} },
  }
  source.attach(reader)
  flow.add(source)
  const block = (blocked: number): void => {
    reader.blocked = blocked
    flow.settle(source)
  }
  return { clock, calls, broker, flow, source, block }
}

test('a partition at its uncommitted limit is paused until there is room, whatever else holds it back', () => {
  const { calls, flow, source, block } = flowing()
  block(NOT_NOW.deferred)
  expect([calls, flow.pauseReason(source)]).toEqual([[], undefined])
  block(NOT_NOW.uncommitted | NOT_NOW.empty)
  block(NOT_NOW.uncommitted)
  expect([calls, flow.pauseReason(source)]).toEqual([['pause'], 'uncommitted'])
  block(NOT_NOW.empty)
  expect([calls, flow.pauseReason(source)]).toEqual([['pause', 'resume'], undefined])
  flow.close()
})

test('the broker is asked for ends of partitions only while some are paused', async () => {
  const { clock, broker, flow, source, block } = flowing()
  block(NOT_NOW.uncommitted)
  await clock.advance(5000)
  expect([broker.questions, source.endOffset]).toEqual([1, 10])
  broker.end = 70
  await clock.advance(5000)
  expect([broker.questions, source.endOffset]).toEqual([2, 70])
  block(0)
  await clock.advance(60_000)
  expect(broker.questions).toBe(2)
  block(NOT_NOW.uncommitted)
  flow.close()
  await clock.advance(60_000)
  expect(broker.questions).toBe(2)
})

const MOST_BUFFERED = 1_000_000

/** Partitions that buffer, and the calls that the driver got for each. */
function buffering(count: number, maxBufferedBytes = MOST_BUFFERED) {
  const clock = manualClock()
  const calls: string[] = []
  const told = (what: string) => (partitions: readonly TopicPartition[]) =>
    void calls.push(...partitions.map(({ partition }) => `${what} ${partition}`))
  const asked: (readonly number[])[] = []
  const broker = { fails: false, answers: Promise.resolve() }
  const flow: FlowControl = new FlowControl(
    { clock, log: silentLog, settings: { ...testSettings, maxBufferedBytes } },
    { pause: told('pause'), resume: told('resume') },
    {
      offsets: async (partitions) => {
        asked.push(partitions.map(({ partition }) => partition))
        await broker.answers
        if (broker.fails) throw new Error('gone')
        // Starts with a partition that nobody asked for.
        return [{ topic: 'other', partition: 0 }, ...partitions].map((each) => ({ ...each, beginning: 0, end: 77 }))
      },
    },
  )
  const sources = Array.from({ length: count }, (_, partition) => {
    const source = new SourcePartition({ topic: 't', partition }, 0, flow)
    const reader = { batchIndex: 0, blocked: 0, isDetached: false, restarted: () => {}, arrived: () => {} }
    source.attach(reader)
    flow.add(source)
    /** Delivers a batch that takes so many bytes in memory. */
    const fetched = (bytes: number): void => {
      const { position } = source
      const at = { topic: 't', partition, position, nextOffset: position + 1, endOffset: position + 1 }
      const record = { offset: position, timestamp: 0, key: null, value: null, headers: NO_HEADERS }
      source.push({ ...at, records: [record], bytes: bytes - 320 })
    }
    const passed = (): void => {
      reader.batchIndex++
      source.release()
    }
    /** Blocks the reader of the partition for this reason; 0 unblocks it. */
    const block = (reason: number): void => {
      reader.blocked = reason
      flow.settle(source)
    }
    return { source, fetched, passed, block }
  })
  const [first, second] = sources
  if (first === undefined || second === undefined) throw new Error('Two partitions at least.')
  return { clock, calls, asked, broker, flow, first, second }
}

test('a partition fills the whole buffer while the others are empty, and is paused at the last byte', () => {
  const { calls, flow, first, second } = buffering(4)
  first.fetched(MOST_BUFFERED / 2 - 1)
  expect([calls, flow.bytes]).toEqual([[], MOST_BUFFERED / 2 - 1])
  first.fetched(1_000)
  // The partition has a little more than half; the rest of the buffer is smaller than that.
  expect([calls, flow.pauseReason(first.source)]).toEqual([['pause 0'], 'buffer'])
  expect(flow.pauseReason(second.source)).toBeUndefined()
  flow.close()
})

test('each partition keeps its share, however full the buffer is', () => {
  const { calls, flow, first, second } = buffering(4)
  first.fetched(MOST_BUFFERED * 2)
  expect(calls).toEqual(['pause 0'])
  second.fetched(MOST_BUFFERED / 4 - 1)
  expect(calls).toEqual(['pause 0'])
  second.fetched(320)
  expect(calls).toEqual(['pause 0', 'pause 1'])
  flow.close()
})

test('a partition at exactly its share is paused, and resumed when it holds less than half of its limit', () => {
  const { calls, flow, first, second } = buffering(4)
  first.fetched(MOST_BUFFERED * 2)
  const share = MOST_BUFFERED / 4
  second.fetched(share / 2 - 320)
  second.fetched(share / 2 - 320)
  expect(calls).toEqual(['pause 0'])
  second.fetched(640)
  expect(calls).toEqual(['pause 0', 'pause 1'])
  second.passed()
  // Half of the limit, and 320 bytes more.
  expect(calls).toEqual(['pause 0', 'pause 1'])
  second.passed()
  expect(calls).toEqual(['pause 0', 'pause 1', 'resume 1'])
  expect(flow.pauseReason(second.source)).toBeUndefined()
  flow.close()
})

test('an empty partition is never paused for the buffer, even if others have taken all of it', () => {
  const { calls, flow, first, second } = buffering(4)
  first.fetched(MOST_BUFFERED * 2)
  flow.settle(second.source)
  expect(calls).toEqual(['pause 0'])
  flow.close()
  const none = buffering(2, 0)
  none.flow.settle(none.first.source)
  expect(none.calls).toEqual([])
  none.first.fetched(320)
  expect(none.calls).toEqual(['pause 0'])
  none.flow.close()
})

test('a lost partition releases its bytes, and the driver gets no more calls for it', async () => {
  const { clock, calls, asked, flow, first } = buffering(2)
  first.fetched(MOST_BUFFERED)
  flow.remove(first.source)
  expect([flow.bytes, flow.pauseReason(first.source)]).toEqual([0, undefined])
  const before = calls.length
  first.fetched(MOST_BUFFERED)
  flow.settle(first.source)
  expect(calls.length).toBe(before)
  await clock.advance(60_000)
  expect(asked).toEqual([])
})

test('one request asks for the ends of all paused partitions every five seconds, even if the broker did not answer the last one', async () => {
  const { clock, asked, broker, flow, first, second } = buffering(2)
  for (const { fetched } of [first, second]) fetched(MOST_BUFFERED)
  await clock.advance(4_999)
  expect(asked).toEqual([])
  broker.fails = true
  await clock.advance(1)
  expect(asked).toEqual([[0, 1]])
  expect(first.source.endOffset).toBe(1)
  broker.fails = false
  await clock.advance(4_999)
  expect(asked.length).toBe(1)
  await clock.advance(1)
  expect([asked.length, first.source.endOffset, second.source.endOffset]).toEqual([2, 77, 77])
  second.passed()
  await clock.advance(5_000)
  expect(asked.at(-1)).toEqual([0])
  flow.close()
})

test('a partition stays paused when one reason replaces another', () => {
  const { calls, flow, first } = buffering(2)
  first.fetched(MOST_BUFFERED)
  first.block(NOT_NOW.uncommitted)
  expect([calls, flow.pauseReason(first.source)]).toEqual([['pause 0'], 'uncommitted'])
  first.block(0)
  expect([calls, flow.pauseReason(first.source)]).toEqual([['pause 0'], 'buffer'])
  flow.close()
})

test('the broker is asked again only after its answer, and not after the worker has ended', async () => {
  const { clock, asked, broker, flow, first, second } = buffering(2)
  const answer = deferred<void>()
  broker.answers = answer.promise
  first.fetched(MOST_BUFFERED)
  await clock.advance(5_000)
  second.fetched(MOST_BUFFERED)
  await clock.advance(60_000)
  expect(asked).toEqual([[0]])
  flow.close()
  answer.resolve()
  await clock.advance(60_000)
  expect(asked).toEqual([[0]])
})

test('a worker can end without having paused anything', () => {
  const { flow, calls } = buffering(2)
  flow.close()
  expect(calls).toEqual([])
})
