import { NO_HEADERS } from '@millrace/core'
import { partitionForKey, type SpreadPartitioner } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { BrokerQueue, TopicRoute } from './broker-queue.ts'
import { Outgoing } from './outgoing.ts'

const MOST_RECORDS = 5000
const MOST_BYTES = 2 * 1024 * 1024

/** A record. Partition -1 lets the queue choose. */
function record(size = 64, partition = 0, key: string | null = null): Outgoing {
  const value = size > 64 ? Buffer.alloc(size - 64) : null
  return new Outgoing(
    {
      topic: 't',
      partition,
      key: key === null ? null : Buffer.from(key),
      value,
      headers: NO_HEADERS,
      timestamp: 0,
    },
    undefined,
  )
}

function queueOf(records: readonly Outgoing[]): BrokerQueue {
  const queue = new BrokerQueue()
  for (const one of records) queue.push(one)
  return queue
}

const records = (count: number, size = 64): readonly Outgoing[] => Array.from({ length: count }, () => record(size))

test('a request has a limited number of records, in order, and the rest goes with the next one', () => {
  const all = records(MOST_RECORDS * 2 + 1)
  const queue = queueOf(all)
  expect([queue.isEmpty, queue.sending]).toEqual([false, false])
  expect([queue.take(), queue.take()]).toEqual([all.slice(0, MOST_RECORDS), all.slice(MOST_RECORDS, MOST_RECORDS * 2)])
  expect([queue.isEmpty, queue.isFull]).toEqual([false, false])
  expect(queue.take()).toEqual(all.slice(-1))
  expect([queue.isEmpty, queue.take()]).toEqual([true, []])
})

test('a request is full at its number of records, and taken records are not counted', () => {
  const queue = queueOf(records(MOST_RECORDS - 1))
  expect(queue.isFull).toBe(false)
  queue.push(record())
  expect(queue.isFull).toBe(true)
  for (const one of records(10)) queue.push(one)
  queue.take()
  expect([queue.isFull, queue.isEmpty]).toEqual([false, false])
})

test('a request is full at its number of bytes, and uses all of them', () => {
  const half = MOST_BYTES / 2
  const queue = queueOf([record(half), record(half - 1)])
  expect(queue.isFull).toBe(false)
  expect(queue.take().length).toBe(2)
  expect(queueOf([record(half), record(half)]).isFull).toBe(true)
  const full = queueOf([record(half), record(half), record()])
  expect(full.isFull).toBe(true)
  expect(full.take().length).toBe(2)
  expect([full.isFull, full.take().length, full.isEmpty]).toEqual([false, 1, true])
  expect(queueOf([record(half), record(half + 1)]).take().length).toBe(1)
})

test('a record that is larger than a request goes out alone', () => {
  const queue = queueOf([record(MOST_BYTES + 1), record(), record()])
  expect(queue.take().length).toBe(1)
  expect(queue.take().length).toBe(2)
})

test('later records follow the rest of a request', () => {
  const all = records(MOST_RECORDS + 1)
  const queue = queueOf(all)
  queue.take()
  const last = record()
  queue.push(last)
  expect(queue.take()).toEqual([all.at(-1), last])
  // The taken list belongs to its taker.
  const taken = queueOf([last]).take()
  queue.push(record())
  expect(taken).toEqual([last])
})

test('records that wait for one partition are taken out with their bytes, and the others keep their order', () => {
  const large = MOST_BYTES - 64
  const [first, other, second] = [record(large, 1), record(64, 0), record(64, 1)]
  const queue = queueOf([...records(MOST_RECORDS), first, other, second])
  queue.take()
  expect(queue.isFull).toBe(true)
  expect(queue.takeOut({ topic: 't', partition: 1 })).toEqual([first, second])
  expect(queue.isFull).toBe(false)
  queue.push(record(large - 1))
  expect(queue.isFull).toBe(false)
  expect(queue.takeOut({ topic: 'another', partition: 0 })).toEqual([])
  expect(queue.take()[0]).toBe(other)
})

test('returned records go out first, and count for the request again', () => {
  const [a, b, c] = [record(MOST_BYTES), record(), record()]
  const queue = queueOf([...records(MOST_RECORDS), c])
  queue.take()
  queue.requeue([a, b])
  expect(queue.isFull).toBe(true)
  expect([queue.take(), queue.take()]).toEqual([[a], [b, c]])
})

const spread: SpreadPartitioner = { next: () => 2 }

test('a record goes to its explicit partition, to that of its key, or to the next one', () => {
  const route = new TopicRoute()
  route.partitions = 7
  const [named, keyed, neither] = [record(64, 6), record(64, -1, 'k'), record(64, -1)]
  for (const one of [named, keyed, neither]) expect(route.choose(one, spread)).toBeUndefined()
  expect([named.partition, keyed.partition, neither.partition]).toEqual([6, partitionForKey(Buffer.from('k'), 7), 2])
  const first = record(64, 0, 'k')
  expect([route.choose(first, spread), first.partition]).toEqual([undefined, 0])
  const missing = route.choose(record(64, 7), spread)
  expect(missing).toMatchObject({
    code: 'PARTITION_MISSING',
    message: expect.stringMatching(/t has 7 partitions.* 7\./),
  })
})

test('a partition keeps its queue while a record is under way to it, and gets a new one afterwards', () => {
  const route = new TopicRoute()
  const queues = [new BrokerQueue(), new BrokerQueue(), new BrokerQueue()]
  let asked = 0
  const enter = () => route.enter(record(), () => queues[asked++] ?? new BrokerQueue())
  expect(route.end(0)).toBeUndefined()
  // The record was never queued.
  route.left(0)
  expect(enter()).toMatchObject({ pending: 1, delay: undefined })
  expect(enter().pending).toBe(2)
  expect([asked, route.end(0)?.queue === queues[0]]).toEqual([1, true])
  route.left(0)
  expect([enter().pending, asked]).toEqual([2, 1])
  route.left(0)
  route.left(0)
  expect(enter().queue).toBe(queues[1])
  expect([asked, route.end(0)?.pending]).toEqual([2, 1])
})
