import { NO_HEADERS } from '@millrace/core'
import fc from 'fast-check'
import { expect, test, describe } from 'vitest'
import { planFetches, readAnswer, ownBytes, type Answer, type ReadAnswerOptions } from './fetch-round.ts'
import { RecordSet } from '../wire/record-set.ts'
import { newPosition, type Position } from './position.ts'
import { KafkaCode } from '../errors/kafka-errors.ts'
import { encodeRecordBatch, NO_PRODUCER } from '../wire/encode-record-batch.ts'
import type { FetchedPartition } from '../wire/requests/fetch.ts'

const SET = {
  position: 0,
  isolation: 'read-committed',
  aborted: [],
  codecs: {},
  verifyChecksums: true,
  maxUnpackedBytes: 1000,
} as const

interface Given {
  readonly position: Position
  readonly leader: number
}

const given: fc.Arbitrary<readonly Given[]> = fc
  .array(
    fc.record({
      active: fc.boolean(),
      paused: fc.boolean(),
      held: fc.boolean(),
      leader: fc.integer({ min: -1, max: 3 }),
    }),
    { maxLength: 12 },
  )
  .map((list) =>
    list.map(({ active, paused, held, leader }, partition) => {
      const at = { topic: 't', partition }
      const fetched = held ? { set: new RecordSet(Buffer.alloc(0), SET), endOffset: 1, decoded: undefined } : undefined
      return { position: { ...newPosition(at), active, paused, fetched }, leader }
    }),
  )

test('every partition that can be fetched is fetched from its leader, unless the leader is busy or its last answer waits', () => {
  fc.assert(
    fc.property(given, fc.uniqueArray(fc.integer({ min: -1, max: 3 })), (list, busy) => {
      const fetching = new Set(busy)
      const leaders = new Map(list.map(({ position, leader }) => [position.partition, leader]))
      const plan = planFetches(
        list.map(({ position }) => position),
        { leader: ({ partition }) => leaders.get(partition) ?? -1 },
        fetching,
      )
      const isReading = ({ active, paused }: Position): boolean => active && !paused
      const holding = new Set(
        list.flatMap(({ position, leader }) => (isReading(position) && position.fetched !== undefined ? [leader] : [])),
      )
      const expected = list.filter(
        ({ position, leader }) =>
          isReading(position) && position.fetched === undefined && !fetching.has(leader) && !holding.has(leader),
      )
      const planned = [...plan].flatMap(([leader, positions]) => positions.map((position) => ({ position, leader })))
      expect(planned.length).toBe(expected.length)
      expect(planned).toEqual(expect.arrayContaining(expected))
    }),
  )
})

test('if brokers answer in turn, each partition comes first on its broker at some point, even when others come and go', () => {
  const partitions = Array.from({ length: 8 }, (_, partition) => newPosition({ topic: 't', partition }))
  for (const position of partitions) position.active = true
  const firsts = new Map<number, number[]>([0, 1].map((leader) => [leader, []]))
  let answers = 0
  for (let round = 0; round < 16; round++) {
    const leader = round % 2
    // One broker's request at a time, and a partition that is paused every third time.
    for (const position of partitions) position.paused = position.partition === round && round % 3 === 0
    const plan = planFetches(partitions, { leader: ({ partition }) => partition % 2 }, new Set([1 - leader]))
    const [first] = plan.get(leader) ?? []
    if (first === undefined) throw new Error(`Broker ${leader} is not asked.`)
    firsts.get(leader)?.push(first.partition)
    // The answer has room for the first partition only.
    first.servedAt = ++answers
  }
  expect([...new Set(firsts.get(0))].sort()).toEqual([0, 2, 4, 6])
  expect([...new Set(firsts.get(1))].sort()).toEqual([1, 3, 5, 7])
})

/** Codes of Kafka's protocol that nothing else names. */
const NOT_LEADER = 6
const NOT_ALLOWED = 29

describe('an answer without records', () => {
  test('reports the state of the partition', () => {
    expect(read({ errorCode: KafkaCode.offsetOutOfRange })).toEqual({ kind: 'out of range' })
    expect(read({ errorCode: KafkaCode.unknownTopicOrPartition })).toEqual({ kind: 'unknown' })
    expect(read({ errorCode: NOT_LEADER })).toEqual({
      kind: 'trouble',
      why: 'Kafka answered NOT_LEADER_OR_FOLLOWER.',
    })
    expect(read({})).toEqual({ kind: 'nothing new' })
  })

  test('throws permanent errors, and names partition and offset', () => {
    expect(() => read({ errorCode: NOT_ALLOWED }, { position: 7 })).toThrow(/NOT_AUTHORIZED.*t\/3.*offset 7/)
  })
})

describe('an answer with records', () => {
  test('ends at the last stable offset for read-committed, otherwise at the high watermark', () => {
    const data = batch('a', 'b')
    const ends = { highWatermark: 9, lastStableOffset: 4 }
    expect(read({ data, ...ends }, { isolation: 'read-committed' })).toMatchObject({ kind: 'data', endOffset: 4 })
    expect(read({ data, ...ends }, { isolation: 'read-uncommitted' })).toMatchObject({ kind: 'data', endOffset: 9 })
  })

  test('is decoded from the position on, without aborted records', () => {
    const answer = read({ data: batch('a', 'b') }, { position: 1 })
    if (answer.kind !== 'data') throw new Error('There is no data.')
    expect(answer.set.next()).toMatchObject({ nextOffset: 2, bytes: 1, records: [{ offset: 1 }] })
    const aborted = read({ data: batch('a', 'b'), aborted: [{ producerId: -1, firstOffset: 0 }] })
    if (aborted.kind !== 'data') throw new Error('There is no data.')
    // This batch is outside of transactions, so it is not aborted with one.
    expect(aborted.set.next()).toMatchObject({ nextOffset: 2, bytes: 2 })
  })
})

function read(
  answer: Partial<FetchedPartition>,
  { position = 0, ...options }: Partial<ReadAnswerOptions> & { readonly position?: number } = {},
): Answer {
  const whole: FetchedPartition = {
    topic: 't',
    partition: 3,
    errorCode: KafkaCode.ok,
    highWatermark: 2,
    lastStableOffset: 2,
    aborted: [],
    data: Buffer.alloc(0),
    ...answer,
  }
  return readAnswer(whole, position, {
    ...{ isolation: 'read-committed', codecs: {}, verifyChecksums: true, maxUnpackedBytes: 1 << 20 },
    ...options,
  })
}

function batch(...values: readonly string[]): Buffer {
  const records = values.map((value) => ({
    topic: 't',
    partition: 3,
    key: null,
    value: Buffer.from(value),
    headers: NO_HEADERS,
    timestamp: 1_000,
  }))
  return encodeRecordBatch(records, NO_PRODUCER, { bits: 0, codec: undefined })
}

test('a small part of an answer does not keep all of it, a large one is not copied', () => {
  const answer = Buffer.from(new ArrayBuffer(100_000)).fill(7)
  const small = ownBytes(answer.subarray(10, 30_000))
  expect(small.equals(answer.subarray(10, 30_000))).toBe(true)
  expect(small.buffer).not.toBe(answer.buffer)
  expect(small.buffer.byteLength).toBe(small.length)
  const large = answer.subarray(0, 60_000)
  expect(ownBytes(large)).toBe(large)
})
