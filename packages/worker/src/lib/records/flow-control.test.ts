import { deferred, manualClock, NO_HEADERS, type TopicPartition } from '@millrace/core'
import type { PartitionOffsets } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { NOT_NOW } from '../environment/not-now.ts'
import { silentLog, testSettings } from '../fixtures/test-worker.fixture.ts'
import { FlowControl } from './flow-control.ts'
import { SourcePartition, type SourceReader } from './source-partition.ts'

/** A partition, with a reader that stops it and lets it go on. */
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
  const reader: SourceReader & { blocked: number } = { batchIndex: 0, blocked: 0, arrived: () => {} }
  source.attach(reader)
  flow.add(source)
  const block = (blocked: number): void => {
    reader.blocked = blocked
    flow.settle(source)
  }
  return { clock, calls, broker, flow, source, block }
}

test('a partition of which too much is uncommitted is paused, whatever else holds it back, until that is over', () => {
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

test('ends of paused partitions are asked for while there are any, and not otherwise', async () => {
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

/** Partitions that buffer, with what the driver was told of each. */
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
        // One that nobody has asked for comes first.
        return [{ topic: 'other', partition: 0 }, ...partitions].map((each) => ({ ...each, beginning: 0, end: 77 }))
      },
    },
  )
  const sources = Array.from({ length: count }, (_, partition) => {
    const source = new SourcePartition({ topic: 't', partition }, 0, flow)
    const reader = { batchIndex: 0, blocked: 0, arrived: () => {} }
    source.attach(reader)
    flow.add(source)
    /** A batch that takes so many bytes in memory. */
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
    /** The reader stops the partition for this reason, or lets it go on with 0. */
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
  // It has half and a little; the rest of the buffer is smaller than that.
  expect([calls, flow.pauseReason(first.source)]).toEqual([['pause 0'], 'buffer'])
  expect(flow.pauseReason(second.source)).toBeUndefined()
  flow.close()
})

test('each partition has its share, however full the buffer is', () => {
  const { calls, flow, first, second } = buffering(4)
  first.fetched(MOST_BUFFERED * 2)
  expect(calls).toEqual(['pause 0'])
  second.fetched(MOST_BUFFERED / 4 - 1)
  expect(calls).toEqual(['pause 0'])
  second.fetched(320)
  expect(calls).toEqual(['pause 0', 'pause 1'])
  flow.close()
})

test('a partition at exactly its share is paused, and goes on when less than half of its limit is left', () => {
  const { calls, flow, first, second } = buffering(4)
  first.fetched(MOST_BUFFERED * 2)
  const share = MOST_BUFFERED / 4
  second.fetched(share / 2 - 320)
  second.fetched(share / 2 - 320)
  expect(calls).toEqual(['pause 0'])
  second.fetched(640)
  expect(calls).toEqual(['pause 0', 'pause 1'])
  second.passed()
  // Half of it, and 320 more.
  expect(calls).toEqual(['pause 0', 'pause 1'])
  second.passed()
  expect(calls).toEqual(['pause 0', 'pause 1', 'resume 1'])
  expect(flow.pauseReason(second.source)).toBeUndefined()
  flow.close()
})

test('an empty partition is never paused for the buffer, also where others have taken all of it', () => {
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

test('a lost partition gives its bytes back, and the driver hears no more of it', async () => {
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

test('all paused partitions are asked for at once, every five seconds, also when the broker did not answer', async () => {
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

test('a partition stays paused where one reason takes the place of another', () => {
  const { calls, flow, first } = buffering(2)
  first.fetched(MOST_BUFFERED)
  first.block(NOT_NOW.uncommitted)
  expect([calls, flow.pauseReason(first.source)]).toEqual([['pause 0'], 'uncommitted'])
  first.block(0)
  expect([calls, flow.pauseReason(first.source)]).toEqual([['pause 0'], 'buffer'])
  flow.close()
})

test('the broker is asked again only after it has answered, and not by a worker that has ended', async () => {
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

test('a worker ends without having paused anything', () => {
  const { flow, calls } = buffering(2)
  flow.close()
  expect(calls).toEqual([])
})
