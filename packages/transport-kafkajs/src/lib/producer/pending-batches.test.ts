import { NO_HEADERS, type OutgoingRecord } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { recordSize } from '../wire/encode-record-batch.ts'
import { PendingBatches } from './pending-batches.ts'

const LIMITS = { maxBatchRecords: 5, maxBatchBytes: 400, maxRequestBytes: 900 }

const record: fc.Arbitrary<OutgoingRecord> = fc.record({
  topic: fc.constantFrom('a', 'b'),
  partition: fc.integer({ min: 0, max: 2 }),
  key: fc.constant(null),
  value: fc.integer({ min: 0, max: 500 }).map((size) => Buffer.alloc(size)),
  headers: fc.constant(NO_HEADERS),
  timestamp: fc.constant(0),
})

test('each record gets its outcome and each partition keeps its order through refusals and splits', () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 60 }),
      fc.infiniteStream(fc.constantFrom('store', 'split', 'refuse', 'some')),
      (records, answers) => {
        const pending = new PendingBatches(records, LIMITS)
        const refusal = new Error('refused')
        const stored = new Map<string, number[]>()
        let offset = 0
        for (;;) {
          const chosen = pending.nextRequest([...pending.queues.values()])
          if (chosen.length === 0) break
          for (const queue of chosen) {
            const head = queue.batches[0]
            const answer = answers.next().value
            if (answer === 'split' && pending.split(queue)) continue
            if (answer === 'refuse') pending.refuse(queue, refusal)
            else if (answer === 'some') pending.refuse(queue, refusal, [0])
            else {
              stored.set(queue.key, [...(stored.get(queue.key) ?? []), ...(head?.indexes ?? [])])
              pending.acknowledged(queue, offset)
              offset += head?.indexes.length ?? 0
            }
          }
        }
        expect(pending.outcomes.filter(Boolean).length).toBe(records.length)
        for (const [key, indexes] of stored) {
          expect(indexes).toEqual([...indexes].sort((a, b) => a - b))
          for (const index of indexes) expect(`${records[index]?.topic}/${records[index]?.partition}`).toBe(key)
        }
        const storedOutcomes = pending.outcomes.flatMap((outcome) => (outcome.ok ? [outcome.offset] : []))
        expect([...storedOutcomes].sort((a, b) => a - b)).toEqual(Array.from({ length: offset }, (_, i) => i))
      },
    ),
  )
})

test('batches and requests keep within their limits, except for a single larger record', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 60 }), (records) => {
      const pending = new PendingBatches(records, LIMITS)
      for (const queue of pending.queues.values()) {
        for (const batch of queue.batches) {
          expect(batch.indexes.length).toBeLessThanOrEqual(LIMITS.maxBatchRecords)
          expect(batch.bytes).toBe(pending.recordsOf(batch).reduce((size, each) => size + recordSize(each), 0))
          if (batch.indexes.length > 1) expect(batch.bytes).toBeLessThanOrEqual(LIMITS.maxBatchBytes)
        }
      }
      const request = pending.nextRequest([...pending.queues.values()])
      const bytes = request.reduce((size, queue) => size + (queue.batches[0]?.bytes ?? 0), 0)
      if (request.length > 1) expect(bytes).toBeLessThanOrEqual(LIMITS.maxRequestBytes)
    }),
  )
})

test('the rest of a batch with refused records is sent before later batches', () => {
  const values = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((value) => Buffer.from(value))
  const records = values.map((value): OutgoingRecord => ({
    topic: 't',
    partition: 0,
    key: null,
    value,
    headers: NO_HEADERS,
    timestamp: 0,
  }))
  const pending = new PendingBatches(records, LIMITS)
  const [queue] = pending.queues.values()
  if (queue === undefined) throw new Error('Nothing is pending.')
  expect(queue.batches.map(({ indexes }) => indexes)).toEqual([
    [0, 1, 2, 3, 4],
    [5, 6],
  ])
  pending.refuse(queue, new Error('refused'), [1, 3])
  expect(queue.batches.map(({ indexes }) => indexes)).toEqual([
    [0, 2, 4],
    [5, 6],
  ])
  expect(queue.batches[0]?.bytes).toBe([0, 2, 4].reduce((size, i) => size + recordSize(at(records, i)), 0))
  pending.acknowledged(queue, 10)
  pending.acknowledged(queue, 13)
  expect(pending.outcomes.map((outcome) => (outcome.ok ? outcome.offset : 'refused'))).toEqual([
    10,
    'refused',
    11,
    'refused',
    12,
    13,
    14,
  ])
})

function at<T>(list: readonly T[], index: number): T {
  const item = list[index]
  if (item === undefined) throw new Error(`There is nothing at ${index}.`)
  return item
}

const sized = (size: number, partition = 0): OutgoingRecord => ({
  topic: 'a',
  partition,
  key: null,
  value: Buffer.alloc(size),
  headers: NO_HEADERS,
  timestamp: 0,
})

test('a batch and a request may be exactly as large as their limits', () => {
  const records = [sized(10), sized(10), sized(10), sized(10, 1), sized(10, 2)]
  const bytes = recordSize(sized(10))
  const limits = { maxBatchRecords: 5, maxBatchBytes: 2 * bytes, maxRequestBytes: 3 * bytes }
  const pending = new PendingBatches(records, limits)
  const queues = [...pending.queues.values()]
  expect(queues.map(({ batches }) => batches.map(({ indexes }) => indexes))).toEqual([[[0, 1], [2]], [[3]], [[4]]])
  expect(pending.nextRequest(queues).map(({ key }) => key)).toEqual(['a/0', 'a/1'])
})

test('records that may be stored already become a batch of their own at the head of the queue', () => {
  const records = [sized(1), sized(2), sized(3), sized(4), sized(5)]
  const batchesAfter = (sent: readonly OutgoingRecord[]): readonly (readonly number[])[] => {
    const pending = new PendingBatches(records, { ...LIMITS, maxBatchRecords: 2 })
    const [queue] = pending.queues.values()
    if (queue === undefined) throw new Error('There is a queue.')
    pending.beginWith(queue, sent)
    return queue.batches.map(({ indexes }) => indexes)
  }
  expect(batchesAfter(records.slice(0, 3))).toEqual([[0, 1, 2], [3], [4]])
  expect(batchesAfter(records.slice(0, 1))).toEqual([[0], [1], [2, 3], [4]])
  const asTheyWere = [[0, 1], [2, 3], [4]]
  expect(batchesAfter(records.slice(1, 3))).toEqual(asTheyWere)
  expect(batchesAfter([sized(1), ...records.slice(1, 3)])).toEqual(asTheyWere)
  expect(batchesAfter([...records.slice(0, 2), sized(9)])).toEqual(asTheyWere)
  expect(batchesAfter([...records, ...records.slice(0, 1)])).toEqual(asTheyWere)
})
