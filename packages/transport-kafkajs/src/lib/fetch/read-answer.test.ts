import { NO_HEADERS } from '@millrace/core'
import { describe, expect, test } from 'vitest'
import { KafkaCode } from '../errors/kafka-errors.ts'
import { encodeRecordBatch, NO_PRODUCER } from '../wire/encode-record-batch.ts'
import type { FetchedPartition } from '../wire/requests/fetch.ts'
import { readAnswer, type Answer, type AnswerOptions } from './read-answer.ts'

/** Codes of Kafka's protocol that nothing else names. */
const NOT_LEADER = 6
const NOT_ALLOWED = 29

describe('an answer without records', () => {
  test('says what has become of the partition', () => {
    expect(read({ errorCode: KafkaCode.offsetOutOfRange })).toEqual({ kind: 'out of range' })
    expect(read({ errorCode: KafkaCode.unknownTopicOrPartition })).toEqual({ kind: 'unknown' })
    expect(read({ errorCode: NOT_LEADER })).toEqual({
      kind: 'trouble',
      why: 'Kafka answered NOT_LEADER_OR_FOLLOWER.',
    })
    expect(read({})).toEqual({ kind: 'nothing new' })
  })

  test('throws what is for good, and names partition and offset', () => {
    expect(() => read({ errorCode: NOT_ALLOWED }, { position: 7 })).toThrow(/NOT_AUTHORIZED.*t\/3.*offset 7/)
  })
})

describe('an answer with records', () => {
  test('ends at the last stable offset for those who read committed records, else at the high watermark', () => {
    const data = batch('a', 'b')
    const ends = { highWatermark: 9, lastStableOffset: 4 }
    expect(read({ data, ...ends }, { isolation: 'read-committed' })).toMatchObject({ kind: 'data', endOffset: 4 })
    expect(read({ data, ...ends }, { isolation: 'read-uncommitted' })).toMatchObject({ kind: 'data', endOffset: 9 })
  })

  test('is decoded from the position on, without what its transactions have aborted', () => {
    const answer = read({ data: batch('a', 'b') }, { position: 1 })
    if (answer.kind !== 'data') throw new Error('There is no data.')
    expect(answer.set.next()).toMatchObject({ nextOffset: 2, bytes: 1, records: [{ offset: 1 }] })
    const aborted = read({ data: batch('a', 'b'), aborted: [{ producerId: -1, firstOffset: 0 }] })
    if (aborted.kind !== 'data') throw new Error('There is no data.')
    // Not in a transaction, so not aborted with one.
    expect(aborted.set.next()).toMatchObject({ nextOffset: 2, bytes: 2 })
  })
})

function read(
  answer: Partial<FetchedPartition>,
  { position = 0, ...options }: Partial<AnswerOptions> & { readonly position?: number } = {},
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
