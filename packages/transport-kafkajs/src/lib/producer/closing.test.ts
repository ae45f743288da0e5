import { deferred } from '@millrace/core'
import type { DelayedPartition } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { KafkaProducer } from './kafka-producer.ts'
import { record } from './produce.fixture.ts'
import { StoringCluster } from './storing-cluster.fixture.ts'

const OPEN = { guard: (): void => {} }
/** Longer than any wait of the driver for another try. */
const TRY_MS = 1_500

test('sends that share a partition run one after the other; the others run concurrently', async () => {
  const cluster = new StoringCluster({ t: [1, 2] }, {}, { nodes: 2 })
  const producer = new KafkaProducer(cluster.context)
  const answered = deferred<void>()
  cluster.on('Produce', async (request) => {
    if (cluster.sent.at(-1)?.node === 1) await answered.promise
    return cluster.store(request)
  })
  const first = producer.send([record('a')], OPEN)
  const behind = producer.send([record('b')], OPEN)
  expect(await producer.send([record('c', 1)], OPEN)).toEqual([{ ok: true, offset: 0 }])
  expect(cluster.stored).toEqual({ 't/1': ['c'] })
  answered.resolve()
  expect([await first, await behind]).toEqual([[{ ok: true, offset: 0 }], [{ ok: true, offset: 1 }]])
  expect(cluster.stored['t/0']).toEqual(['a', 'b'])
})

test('a send waits for the previous one even if the partition has a new leader', async () => {
  const cluster = new StoringCluster({ t: [1] }, {}, { nodes: 2 })
  const producer = new KafkaProducer(cluster.context)
  const answered = deferred<void>()
  cluster.on('Produce', async (request) => {
    if (cluster.sent.at(-1)?.node === 1) await answered.promise
    return cluster.store(request)
  })
  const first = producer.send([record('a')], OPEN)
  await cluster.clock.advance(0)
  cluster.topics['t'] = [2]
  await cluster.context.view.refresh()
  const behind = producer.send([record('b')], OPEN)
  await cluster.clock.advance(0)
  expect(cluster.count('Produce')).toBe(1)
  answered.resolve()
  expect([await first, await behind]).toEqual([[{ ok: true, offset: 0 }], [{ ok: true, offset: 1 }]])
})

test('a close waits for sends under way, and refuses new ones', async () => {
  const cluster = new StoringCluster({ t: 1 })
  const producer = new KafkaProducer(cluster.context)
  const answered = deferred<void>()
  cluster.on('Produce', async (request) => {
    await answered.promise
    return cluster.store(request)
  })
  const first = producer.send([record('a')], OPEN)
  const second = producer.send([record('b')], OPEN)
  await cluster.clock.advance(0)
  const closed = producer.close()
  expect(producer.close()).toBe(closed)
  await expect(producer.send([record('c')], OPEN)).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(producer.partitions('t')).rejects.toMatchObject({ code: 'CLOSED' })
  await cluster.clock.advance(4_000)
  expect([producer.signal.aborted, cluster.closed]).toEqual([false, []])
  answered.resolve()
  await closed
  expect([await first, await second]).toEqual([[{ ok: true, offset: 0 }], [{ ok: true, offset: 1 }]])
  expect([producer.signal.aborted, cluster.closed]).toEqual([true, [producer]])
})

test('a close waits five seconds for a hanging request; then it and the requests behind it reject with CLOSED', async () => {
  const cluster = new StoringCluster({ t: 1 })
  const producer = new KafkaProducer(cluster.context)
  cluster.on('Produce', () => deferred<never>().promise)
  const ends = Promise.allSettled([producer.send([record('a')], OPEN), producer.send([record('b')], OPEN)])
  await cluster.clock.advance(0)
  const closed = producer.close()
  await cluster.clock.advance(4_999)
  expect(producer.signal.aborted).toBe(false)
  await cluster.clock.advance(TRY_MS)
  await closed
  expect(await ends).toMatchObject([
    { status: 'rejected', reason: { code: 'CLOSED' } },
    { status: 'rejected', reason: { code: 'CLOSED' } },
  ])
})

test('a close also waits for delayed partitions, which then reject with CLOSED', async () => {
  const cluster = new StoringCluster({ t: [-1] })
  const producer = new KafkaProducer(cluster.context)
  const delayed: DelayedPartition[] = []
  await producer.send([record('a')], { ...OPEN, onDelayed: (one) => void delayed.push(one) })
  const end = expect(delayed[0]?.outcomes).rejects.toMatchObject({ code: 'CLOSED' })
  const closed = producer.close()
  await cluster.clock.advance(4_000)
  expect(producer.signal.aborted).toBe(false)
  await cluster.clock.advance(TRY_MS)
  await closed
  await end
})

test('a close also closes the connections of delayed partitions, and ends requests that hang there', async () => {
  const cluster = new StoringCluster({ t: [-1] })
  const producer = new KafkaProducer(cluster.context)
  cluster.on('Produce', () => deferred<never>().promise)
  const delayed: DelayedPartition[] = []
  await producer.send([record('a')], { ...OPEN, onDelayed: (one) => void delayed.push(one) })
  cluster.topics['t'] = 1
  await cluster.clock.advance(TRY_MS)
  expect(cluster.count('Produce')).toBe(1)
  const end = expect(delayed[0]?.outcomes).rejects.toMatchObject({ code: 'CLOSED' })
  const closed = producer.close()
  await cluster.clock.advance(5_000)
  await closed
  await end
})

test('partitions() refreshes once a minute in the background, without waiting', async () => {
  const cluster = new StoringCluster({ t: 1 })
  const producer = new KafkaProducer(cluster.context)
  expect(await producer.partitions('t')).toBe(1)
  cluster.topics['t'] = 3
  await cluster.clock.advance(60_000)
  expect([await producer.partitions('t'), cluster.count('Metadata')]).toEqual([1, 1])
  await cluster.clock.advance(1)
  expect(await producer.partitions('t')).toBe(1)
  await cluster.clock.advance(0)
  expect([await producer.partitions('t'), cluster.count('Metadata')]).toEqual([3, 2])
})

test('partitions() looks up an absent topic five times, and finds it if it appears', async () => {
  const cluster = new StoringCluster({})
  const producer = new KafkaProducer(cluster.context)
  const missing = expect(producer.partitions('gone')).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
  await cluster.clock.advance(10_000)
  await missing
  expect(cluster.count('Metadata')).toBe(5 + 4)
  const late = producer.partitions('late')
  await cluster.clock.advance(0)
  cluster.topics['late'] = 2
  await cluster.clock.advance(TRY_MS)
  expect(await late).toBe(2)
})

test('partitions() fails at once without the right to a topic', async () => {
  const cluster = new StoringCluster({ secret: { code: 29 } })
  await expect(new KafkaProducer(cluster.context).partitions('secret')).rejects.toMatchObject({
    code: 'NOT_AUTHORIZED',
  })
  expect(cluster.count('Metadata')).toBe(1)
})
