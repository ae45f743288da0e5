import { eventually } from '@millrace/conformance'
import { deferred, MillraceError } from '@millrace/core'
import type { DelayedPartition, SendOutcome } from '@millrace/core/driver'
import { describe, expect, test } from 'vitest'
import type { ScriptedClusterOptions } from '../scripted-cluster.fixture.ts'
import { KafkaProducer } from './kafka-producer.ts'
import { record } from './produce.fixture.ts'
import { StoringCluster } from './storing-cluster.fixture.ts'

const NOT_LEADER = 6
const NOT_ENOUGH_REPLICAS = 19
const TOPIC_AUTHORIZATION_FAILED = 29
const INVALID_TIMESTAMP = 32
/** Longer than any wait of the driver for another try. */
const TRY_MS = 1_500
const OPEN = { guard: (): void => {} }

function setUp(
  topics: ConstructorParameters<typeof StoringCluster>[0] = { t: 3 },
  options?: ScriptedClusterOptions,
): { readonly cluster: StoringCluster; readonly producer: KafkaProducer } {
  const cluster = new StoringCluster(topics, {}, options)
  return { cluster, producer: new KafkaProducer(cluster.context) }
}

const stored = (offset: number): SendOutcome => ({ ok: true, offset })
const refused = (code: string): unknown => ({ ok: false, error: expect.objectContaining({ code }) })

test('each round is one request to each leader, with the next batch of every partition that it leads', async () => {
  const { cluster, producer } = setUp({ t: [1, 2, 1] }, { nodes: 2 })
  const sent = ['a', 'b', 'c', 'd'].map((value, nth) => record(value, nth % 3))
  expect(await producer.send(sent, OPEN)).toEqual([stored(0), stored(0), stored(0), stored(1)])
  expect(cluster.batches).toEqual([['t/0: a d', 't/2: c'], ['t/1: b']])
  expect(cluster.requests('Produce').map(({ node }) => node)).toEqual([1, 2])
  expect([0, 1, 2, 3].map((partition) => producer.brokerOf({ topic: 't', partition }))).toEqual([1, 2, 1, -1])
})

test('every request asks for all in-sync replicas, and the broker gives up before the client does', async () => {
  const { cluster, producer } = setUp()
  await producer.send([record('a')], OPEN)
  const quick = setUp({ t: 1 }, { settings: { requestTimeoutMs: 2_500 } })
  await quick.producer.send([record('a')], OPEN)
  expect([...cluster.produced, ...quick.cluster.produced]).toMatchObject([
    { transactionalId: null, acks: -1, timeoutMs: 28_000, batches: [{ transactional: false }] },
    { transactionalId: null, acks: -1, timeoutMs: 1_000 },
  ])
})

test('a record above the limit of a request is sent alone', async () => {
  const { cluster, producer } = setUp({ t: 2 }, { settings: { maxRequestBytes: 1 } })
  expect(await producer.send([record('a'), record('b', 1)], OPEN)).toEqual([stored(0), stored(0)])
  expect(cluster.batches).toEqual([['t/0: a'], ['t/1: b']])
})

test('a broker with the id 0 can lead a partition', async () => {
  const { cluster, producer } = setUp({ t: [0] }, { firstNode: 0 })
  expect(await producer.send([record('a')], OPEN)).toEqual([stored(0)])
  expect(cluster.requests('Produce').map(({ node }) => node)).toEqual([0])
})

test('records beyond the limit of a request or batch go into the next one, and each partition keeps its order', async () => {
  const { cluster, producer } = setUp({ t: 2 }, { settings: { maxBatchBytes: 20, maxRequestBytes: 30 } })
  const outcomes = await producer.send([record('a'), record('b'), record('c', 1), record('d', 1)], OPEN)
  expect(outcomes).toEqual([stored(0), stored(1), stored(0), stored(1)])
  expect(cluster.stored).toEqual({ 't/0': ['a', 'b'], 't/1': ['c', 'd'] })
  expect(cluster.produced.length).toBeGreaterThan(1)
})

describe('a topic or partition that is absent from the metadata', () => {
  test('is looked up three times before its records are refused', async () => {
    const { cluster, producer } = setUp()
    const sent = producer.send([record('a', 0, 'gone'), record('b')], OPEN)
    await cluster.clock.advance(5_000)
    expect(await sent).toEqual([refused('TOPIC_MISSING'), stored(0)])
    expect(cluster.count('Metadata')).toBe(4)
  })

  test('accepts its records if the last of these lookups finds it', async () => {
    const { cluster, producer } = setUp()
    const sent = producer.send([record('a', 0, 'late')], OPEN)
    await eventually(() => cluster.count('Metadata') > 0, { what: 'the first look' })
    await cluster.clock.advance(100)
    await eventually(() => cluster.count('Metadata') === 2, { what: 'the second look' })
    cluster.topics['late'] = 1
    await cluster.clock.advance(TRY_MS)
    expect(await sent).toEqual([stored(0)])
  })

  test('is refused after one more lookup if the topic exists, because it may have been extended', async () => {
    const { cluster, producer } = setUp({ t: 1, grown: 1 })
    const sent = producer.send([record('a', 3), record('b', 1, 'grown')], OPEN)
    await cluster.clock.advance(0)
    cluster.topics['grown'] = 2
    await cluster.clock.advance(TRY_MS)
    expect(await sent).toEqual([
      {
        ok: false,
        error: expect.objectContaining({ code: 'PARTITION_MISSING', detail: expect.stringContaining('t') }),
      },
      stored(0),
    ])
    expect(cluster.count('Metadata')).toBe(2)
  })

  test('is refused at once without the right to see it', async () => {
    const { cluster, producer } = setUp({ secret: { code: TOPIC_AUTHORIZATION_FAILED } })
    expect(await producer.send([record('a', 0, 'secret')], OPEN)).toEqual([refused('NOT_AUTHORIZED')])
    expect(cluster.count('Metadata')).toBe(1)
  })
})

describe('a partition that cannot be written to at present', () => {
  test.each([
    ['has no leader', -1],
    ['has a leader that is not known', 7],
  ])('that %s keeps its send waiting, and is stored when it can be', async (_, leader) => {
    const { cluster, producer } = setUp({ t: [leader, 1] })
    let settled = false
    const sent = producer.send([record('a'), record('b', 1)], OPEN).finally(() => (settled = true))
    await cluster.clock.advance(TRY_MS)
    expect([settled, cluster.batches]).toEqual([false, [['t/1: b']]])
    cluster.topics['t'] = 2
    await cluster.clock.advance(TRY_MS)
    expect(await sent).toEqual([stored(0), stored(0)])
  })

  test('leaves its send if the caller wants that, and continues by itself', async () => {
    const { cluster, producer } = setUp({ t: [-1, 1, 1] })
    const delayed: DelayedPartition[] = []
    const options = { ...OPEN, onDelayed: (one: DelayedPartition) => void delayed.push(one) }
    const outcomes = await producer.send([record('a'), record('b', 1), record('c')], options)
    expect([...outcomes]).toEqual([undefined, stored(0), undefined])
    expect(delayed).toMatchObject([{ topic: 't', partition: 0, indexes: [0, 2], reason: 't/0 has no leader.' }])

    // What is sent to it later stays behind, and does not hold up the rest.
    const behind = producer.send([record('d')], OPEN)
    expect(await producer.send([record('e', 1), record('f', 2)], options)).toEqual([stored(1), stored(0)])
    expect(delayed).toHaveLength(1)
    cluster.topics['t'] = 3
    await cluster.clock.advance(TRY_MS)
    expect(await delayed[0]?.outcomes).toEqual([stored(0), stored(1)])
    expect(await behind).toEqual([stored(2)])
    expect(cluster.stored['t/0']).toEqual(['a', 'c', 'd'])
  })

  test('does not block requests to the same broker while it is delayed', async () => {
    const { cluster, producer } = setUp()
    const answered = deferred<void>()
    cluster.verdict = ({ partition }) => (partition === 0 ? NOT_ENOUGH_REPLICAS : undefined)
    const delayed: DelayedPartition[] = []
    const options = { ...OPEN, onDelayed: (one: DelayedPartition) => void delayed.push(one) }
    expect([...(await producer.send([record('a'), record('b', 1)], options))]).toEqual([undefined, stored(0)])
    expect(delayed[0]?.reason).toBe('Kafka answered NOT_ENOUGH_REPLICAS for t/0.')
    cluster.verdict = () => undefined
    cluster.on('Produce', async (request) => {
      if (cluster.count('Produce') === 2) await answered.promise
      return cluster.store(request)
    })
    await cluster.clock.advance(TRY_MS)
    expect(cluster.count('Produce')).toBe(2)
    expect(await producer.send([record('c', 1)], options)).toEqual([stored(1)])
    answered.resolve()
    expect(await delayed[0]?.outcomes).toEqual([stored(0)])
  })

  test('reports a later refusal in its outcomes', async () => {
    const { cluster, producer } = setUp({ t: [-1, 1] })
    const delayed: DelayedPartition[] = []
    await producer.send([record('a')], { ...OPEN, onDelayed: (one) => void delayed.push(one) })
    cluster.topics['t'] = 2
    cluster.verdict = () => INVALID_TIMESTAMP
    await cluster.clock.advance(TRY_MS)
    expect(await delayed[0]?.outcomes).toEqual([refused('RECORD_REFUSED')])
  })

  test('rejects when its guard ends it, and its records can be sent again', async () => {
    const { cluster, producer } = setUp({ t: 1 }, { settings: { maxBatchBytes: 1 } })
    let isOpen = true
    const guard = (): void => {
      if (!isOpen) throw new MillraceError('LEASE_EXPIRED', 'Gone.')
    }
    const delayed: DelayedPartition[] = []
    // The first of its two batches is stored.
    cluster.verdict = ({ values }) => (values.includes('b!') ? NOT_LEADER : undefined)
    const records = [record('a'), record('b!')]
    await producer.send(records, { guard, onDelayed: (one) => void delayed.push(one) })
    isOpen = false
    const rejected = expect(delayed[0]?.outcomes).rejects.toMatchObject({ code: 'LEASE_EXPIRED' })
    await cluster.clock.advance(TRY_MS)
    await rejected
    cluster.verdict = () => undefined
    expect(await producer.send(records, OPEN)).toEqual([stored(0), stored(1)])
    expect(cluster.stored['t/0']).toEqual(['a', 'b!'])
  })

  test('leaves the other partitions, which have more to send; its later outcomes are not part of their result', async () => {
    const { cluster, producer } = setUp({ t: [-1, 1] }, { settings: { maxBatchBytes: 1 } })
    const answered = deferred<void>()
    cluster.on('Produce', async (request) => {
      const sent = cluster.sent.at(-1)
      if (sent?.bytes.includes('second') === true) await answered.promise
      return cluster.store(request)
    })
    const delayed: DelayedPartition[] = []
    const options = { ...OPEN, onDelayed: (one: DelayedPartition) => void delayed.push(one) }
    const sending = producer.send([record('a'), record('b'), record('first', 1), record('second', 1)], options)
    await cluster.clock.advance(0)
    expect(delayed).toMatchObject([{ partition: 0 }])
    cluster.topics['t'] = 2
    const beganMs = cluster.clock.monotonic()
    let tookMs = Infinity
    void delayed[0]?.outcomes.then(() => (tookMs = cluster.clock.monotonic() - beganMs))
    await cluster.clock.advance(TRY_MS)
    expect(await delayed[0]?.outcomes).toEqual([stored(0), stored(1)])
    // One wait for another try, and none between its batches.
    expect(tookMs).toBeLessThanOrEqual(50)
    answered.resolve()
    const outcomes = await sending
    expect([...outcomes]).toEqual([undefined, undefined, stored(0), stored(1)])
    expect(cluster.stored['t/1']).toEqual(['first', 'second'])
  })
})
