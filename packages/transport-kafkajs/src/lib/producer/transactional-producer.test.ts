import { deferred } from '@millrace/core'
import type { DelayedPartition } from '@millrace/core/driver'
import { describe, expect, test } from 'vitest'
import { code, committed, perPartition, type ScriptedApi } from '../scripted-cluster.fixture.ts'
import { readByTopic } from '../wire/requests/request-fields.ts'
import { WireReader } from '../wire/wire-reader.ts'
import { KafkaTransactionalProducer } from './kafka-transactional-producer.ts'
import { producerId, record } from './produce.fixture.ts'
import { StoringCluster } from './storing-cluster.fixture.ts'

const UNKNOWN_TOPIC = 3
const MESSAGE_TOO_LARGE = 10
const OFFSET_METADATA_TOO_LARGE = 12
const COORDINATOR_LOAD_IN_PROGRESS = 14
const NOT_COORDINATOR = 16
const TOPIC_AUTHORIZATION_FAILED = 29
const GROUP_AUTHORIZATION_FAILED = 30
const CLUSTER_AUTHORIZATION_FAILED = 31
const INVALID_TXN_STATE = 48
const INVALID_TRANSACTION_TIMEOUT = 50
const CONCURRENT_TRANSACTIONS = 51
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
const OPERATION_NOT_ATTEMPTED = 55
const PRODUCER_FENCED = 90
/** Longer than any wait of the driver for another try. */
const TRY_MS = 1_500
const OPEN = { guard: (): void => {} }
const OFFSET = { topic: 't', partition: 0, offset: 5, metadata: 'm' }

/** Partitions that a request adds to its transaction. */
function added(bytes: Buffer): readonly { readonly topic: string; readonly partition: number }[] {
  const request = new WireReader(bytes)
  request.string()
  request.int64()
  request.int16()
  return readByTopic(request, (topic) => ({ topic, partition: request.int32() }))
}

function setUp(topics: ConstructorParameters<typeof StoringCluster>[0] = { t: 2 }): {
  readonly cluster: StoringCluster
  readonly producer: KafkaTransactionalProducer
} {
  const cluster = new StoringCluster(topics, {
    InitProducerId: () => producerId(7, 3),
    AddPartitionsToTxn: (request) =>
      perPartition(added(request.buffer).map((partition) => ({ ...partition, errorCode: 0 }))),
    AddOffsetsToTxn: () => code(0),
    TxnOffsetCommit: () => committed([OFFSET], 0),
    EndTxn: () => code(0),
  })
  return { cluster, producer: new KafkaTransactionalProducer({ id: 'app-1', timeoutMs: 60_000 }, cluster.context) }
}

async function begun(topics?: ConstructorParameters<typeof StoringCluster>[0]): Promise<ReturnType<typeof setUp>> {
  const site = setUp(topics)
  await site.producer.init()
  await site.producer.begin()
  return site
}

/** The requests of transactions so far, in order. */
function steps({ sent }: StoringCluster): readonly string[] {
  return sent.map(({ api }) => api).filter((api) => !['Metadata', 'FindCoordinator'].includes(api))
}

const ended = ({ bytes }: { readonly bytes: Buffer }): string => (bytes.at(-1) === 1 ? 'commit' : 'abort')

test('a transaction adds what it writes to before it writes, and each partition and group once', async () => {
  const { cluster, producer } = await begun()
  await producer.send([record('a')], OPEN)
  await producer.send([record('b'), record('c', 1)], OPEN)
  await producer.sendOffsets('g', [OFFSET])
  await producer.sendOffsets('g', [OFFSET])
  await producer.sendOffsets('h', [OFFSET])
  await producer.commit()
  expect(steps(cluster)).toEqual([
    'InitProducerId',
    ...['AddPartitionsToTxn', 'Produce', 'AddPartitionsToTxn', 'Produce'],
    ...['AddOffsetsToTxn', 'TxnOffsetCommit', 'TxnOffsetCommit', 'AddOffsetsToTxn', 'TxnOffsetCommit'],
    'EndTxn',
  ])
  expect(cluster.requests('AddPartitionsToTxn').map(({ bytes }) => added(bytes))).toEqual([
    [{ topic: 't', partition: 0 }],
    [{ topic: 't', partition: 1 }],
  ])
  const owner = { transactional: true, producerId: 7, epoch: 3 }
  expect(cluster.produced.map(({ transactionalId }) => transactionalId)).toEqual(['app-1', 'app-1'])
  expect(cluster.produced.flatMap(({ batches }) => batches)).toMatchObject([
    { ...owner, first: 0 },
    { ...owner, first: 1 },
    { ...owner, first: 0 },
  ])
  expect(cluster.requests('EndTxn').map(ended)).toEqual(['commit'])
  // Each group has a coordinator of its own, which is looked up once.
  expect(cluster.count('FindCoordinator')).toBe(3)
})

test('the next transaction adds everything anew; an empty transaction ends without a request', async () => {
  const { cluster, producer } = await begun()
  await producer.send([record('a')], OPEN)
  await producer.sendOffsets('g', [OFFSET])
  await producer.abort()
  await producer.begin()
  await producer.commit()
  await producer.begin()
  await producer.sendOffsets('g', [])
  await producer.abort()
  expect(cluster.requests('EndTxn').map(ended)).toEqual(['abort'])
  await producer.begin()
  await producer.send([record('b')], OPEN)
  await producer.commit()
  await producer.begin()
  await producer.sendOffsets('g', [OFFSET])
  await producer.commit()
  expect(steps(cluster).slice(-6)).toEqual([
    ...['AddPartitionsToTxn', 'Produce', 'EndTxn'],
    ...['AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn'],
  ])
  expect(cluster.requests('EndTxn').map(ended)).toEqual(['abort', 'commit', 'commit'])
})

describe('calls out of order', () => {
  test('before init() are refused, and so is a second init()', async () => {
    const { producer } = setUp()
    const early = [() => producer.begin(), () => producer.send([], OPEN), () => producer.sendOffsets('g', [])]
    for (const call of [...early, () => producer.commit(), () => producer.abort()])
      await expect(call()).rejects.toMatchObject({ code: 'CLOSED', detail: expect.stringContaining('init()') })
    await producer.init()
    await expect(producer.init()).rejects.toMatchObject({ code: 'TRANSACTION_STATE' })
  })

  test('are refused with the call and the state, and change nothing', async () => {
    const { producer } = setUp()
    await producer.init()
    const calls = {
      send: () => producer.send([record('a')], OPEN),
      sendOffsets: () => producer.sendOffsets('g', [OFFSET]),
      commit: () => producer.commit(),
      abort: () => producer.abort(),
    }
    for (const [name, call] of Object.entries(calls)) {
      const detail = `${name}() of producer "app-1" was called in state "ready".`
      await expect(call()).rejects.toMatchObject({ code: 'TRANSACTION_STATE', detail })
    }
    await producer.begin()
    const detail = 'begin() of producer "app-1" was called in state "open".'
    await expect(producer.begin()).rejects.toMatchObject({ code: 'TRANSACTION_STATE', detail })
    await calls.send()
    await calls.commit()
  })

  test('after close() are refused, and it closes once', async () => {
    const { cluster, producer } = await begun()
    const closed = producer.close()
    expect(producer.close()).toBe(closed)
    await closed
    expect(cluster.closed).toContain(producer)
    const calls = [() => producer.init(), () => producer.begin(), () => producer.send([record('a')], OPEN)]
    for (const call of [...calls, () => producer.sendOffsets('g', [OFFSET]), () => producer.commit()])
      await expect(call()).rejects.toMatchObject({ code: 'CLOSED', detail: 'The producer "app-1" is closed.' })
  })

  test('an invalid offset is refused before anything is sent', async () => {
    const { cluster, producer } = await begun()
    await expect(producer.sendOffsets('g', [{ ...OFFSET, offset: -1 }])).rejects.toMatchObject({
      code: 'OFFSET_UNSAFE',
    })
    expect(cluster.count('AddOffsetsToTxn')).toBe(0)
  })
})

describe('an error of the coordinator', () => {
  test('while it still writes the markers of the previous transaction is retried quickly, without a log line', async () => {
    const { cluster, producer } = await begun()
    let tries = 0
    cluster.on('AddPartitionsToTxn', (request) => {
      tries++
      const errorCode = cluster.clock.monotonic() - beganMs < 100 ? CONCURRENT_TRANSACTIONS : 0
      return perPartition(added(request.buffer).map((partition) => ({ ...partition, errorCode })))
    })
    const beganMs = cluster.clock.monotonic()
    const sent = producer.send([record('a')], OPEN)
    await cluster.clock.advance(110)
    expect(await sent).toEqual([{ ok: true, offset: 0 }])
    expect(tries).toBe(21)
    expect(cluster.count('Metadata')).toBe(1)
  })

  test('that persists counts as a failure: the coordinator is looked up again', async () => {
    const { cluster, producer } = await begun()
    const lookUps = cluster.count('FindCoordinator')
    cluster.on('EndTxn', () => code(CONCURRENT_TRANSACTIONS))
    await producer.send([record('a')], OPEN)
    const end = producer.commit()
    await cluster.clock.advance(5 * 399 - 1)
    expect([cluster.count('EndTxn'), cluster.count('FindCoordinator')]).toEqual([399, lookUps])
    await cluster.clock.advance(1)
    expect(cluster.count('EndTxn')).toBe(400)
    // The next one comes after a wait as for any trouble, of 25 ms or more.
    await cluster.clock.advance(20)
    expect(cluster.count('EndTxn')).toBe(400)
    cluster.on('EndTxn', () => code(0))
    await cluster.clock.advance(TRY_MS)
    await end
    expect([cluster.count('EndTxn'), cluster.count('FindCoordinator')]).toEqual([401, lookUps + 1])
  })

  test.each([NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS])(
    'with the code %i is retried with the new coordinator',
    async (errorCode) => {
      const { cluster, producer } = await begun()
      await producer.sendOffsets('g', [OFFSET])
      cluster.on('EndTxn', () => code(errorCode))
      const end = producer.commit()
      await cluster.clock.advance(0)
      cluster.on('EndTxn', () => code(0))
      await cluster.clock.advance(TRY_MS)
      await end
      expect([cluster.count('EndTxn'), cluster.count('FindCoordinator')]).toEqual([2, 3])
    },
  )

  test('about a topic that it does not know yet is retried, with the other partitions of the request', async () => {
    const { cluster, producer } = await begun()
    cluster.on('AddPartitionsToTxn', (request) =>
      perPartition(
        added(request.buffer).map((one) => ({
          ...one,
          errorCode: one.partition === 0 ? OPERATION_NOT_ATTEMPTED : UNKNOWN_TOPIC,
        })),
      ),
    )
    const sent = producer.send([record('a'), record('b', 1)], OPEN)
    await cluster.clock.advance(0)
    expect(cluster.count('Produce')).toBe(0)
    cluster.on('AddPartitionsToTxn', () =>
      perPartition([0, 1].map((partition) => ({ topic: 't', partition, errorCode: 0 }))),
    )
    await cluster.clock.advance(TRY_MS)
    expect(await sent).toEqual([
      { ok: true, offset: 0 },
      { ok: true, offset: 0 },
    ])
    expect(added(cluster.requests('AddPartitionsToTxn').at(-1)?.bytes ?? Buffer.alloc(0))).toHaveLength(2)
  })

  test('about a deleted topic leaves its records to the sender, which refuses them', async () => {
    const { cluster, producer } = await begun()
    cluster.on('AddPartitionsToTxn', (request) =>
      perPartition(added(request.buffer).map((one) => ({ ...one, errorCode: UNKNOWN_TOPIC }))),
    )
    await cluster.context.view.ensure(['t'])
    delete cluster.topics['t']
    const sent = producer.send([record('a')], OPEN)
    await cluster.clock.advance(10_000)
    expect(await sent).toMatchObject([{ ok: false, error: { code: 'TOPIC_MISSING' } }])
    expect(cluster.count('AddPartitionsToTxn')).toBe(1)
    await producer.commit()
    expect(cluster.count('EndTxn')).toBe(0)
  })

  interface Refusal {
    readonly api: ScriptedApi
    readonly errorCode: number
    readonly code: string
    readonly detail: string
  }

  test.each<Refusal>([
    {
      api: 'InitProducerId',
      errorCode: INVALID_TRANSACTION_TIMEOUT,
      code: 'SETTING_INVALID',
      detail: 'transactionTimeout is longer than',
    },
    {
      api: 'InitProducerId',
      errorCode: TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
      code: 'NOT_AUTHORIZED',
      detail: 'needs the right Write on the transactional id',
    },
    {
      api: 'InitProducerId',
      errorCode: CLUSTER_AUTHORIZATION_FAILED,
      code: 'NOT_AUTHORIZED',
      detail: 'the right IdempotentWrite on the cluster',
    },
    {
      api: 'AddPartitionsToTxn',
      errorCode: TOPIC_AUTHORIZATION_FAILED,
      code: 'NOT_AUTHORIZED',
      detail:
        'added to the transaction (t/1). Kafka answered TOPIC_AUTHORIZATION_FAILED. The user of the app needs the right Write',
    },
    {
      api: 'AddOffsetsToTxn',
      errorCode: GROUP_AUTHORIZATION_FAILED,
      code: 'NOT_AUTHORIZED',
      detail:
        'group "g" could not be added to the transaction. Kafka answered GROUP_AUTHORIZATION_FAILED. The user of the app needs the right Read',
    },
    {
      api: 'TxnOffsetCommit',
      errorCode: OFFSET_METADATA_TOO_LARGE,
      code: 'RECORD_REFUSED',
      detail: '(t/0). The setting offset.metadata.max.bytes',
    },
    { api: 'EndTxn', errorCode: PRODUCER_FENCED, code: 'PRODUCER_FENCED', detail: '"app-1" cannot go on' },
    { api: 'EndTxn', errorCode: INVALID_TXN_STATE, code: 'TRANSACTION_STATE', detail: '"app-1" cannot go on' },
  ])('to $api with the code $errorCode ends the producer', async ({ api, errorCode, code: thrown, detail }) => {
    const { cluster, producer } = setUp()
    if (api === 'InitProducerId') cluster.on(api, () => producerId(-1, -1, errorCode))
    else if (api === 'AddPartitionsToTxn')
      cluster.on(api, () =>
        perPartition([
          { topic: 't', partition: 0, errorCode: OPERATION_NOT_ATTEMPTED },
          { topic: 't', partition: 1, errorCode },
        ]),
      )
    else if (api === 'TxnOffsetCommit') cluster.on(api, () => committed([OFFSET], errorCode))
    else cluster.on(api, () => code(errorCode))
    const run = async (): Promise<void> => {
      await producer.init()
      await producer.begin()
      await producer.send([record('a'), record('b', 1)], OPEN)
      await producer.sendOffsets('g', [OFFSET])
      await producer.commit()
    }
    const matches = { code: thrown, detail: expect.stringContaining(detail) }
    await expect(run()).rejects.toMatchObject(matches)
    if (api === 'InitProducerId') return
    // It is told again to whoever goes on, where the failure is the producer's own.
    const isOwn = ['NOT_AUTHORIZED', 'PRODUCER_FENCED', 'TRANSACTION_STATE'].includes(thrown)
    await expect(producer.begin()).rejects.toMatchObject(isOwn ? matches : { code: 'TRANSACTION_STATE' })
  })
})

describe('a batch', () => {
  test('that is refused leaves the transaction open, and its numbers to the next batch', async () => {
    const { cluster, producer } = await begun()
    cluster.verdict = ({ values }) => (values.includes('bad') ? MESSAGE_TOO_LARGE : undefined)
    expect(await producer.send([record('bad')], OPEN)).toMatchObject([
      { ok: false, error: { code: 'RECORD_TOO_LARGE' } },
    ])
    expect(await producer.send([record('a')], OPEN)).toEqual([{ ok: true, offset: 0 }])
    expect(cluster.produced.at(-1)?.batches).toMatchObject([{ first: 0, epoch: 3 }])
    expect(cluster.count('AddPartitionsToTxn')).toBe(1)
    await producer.commit()
  })

  test('that is refused on a resend may be in the transaction already, so its numbers are spent and the producer ends', async () => {
    const { cluster, producer } = await begun()
    cluster.on('Produce', () => {
      throw new Error('The connection is cut.')
    })
    const refused = producer.send([record('a')], OPEN)
    await cluster.clock.advance(0)
    cluster.verdict = () => MESSAGE_TOO_LARGE
    cluster.on('Produce', (request) => cluster.store(request))
    await cluster.clock.advance(TRY_MS)
    expect(await refused).toMatchObject([{ ok: false }])
    const detail = expect.stringContaining('a batch was refused that may be in the transaction already')
    await expect(producer.send([record('b')], OPEN)).rejects.toMatchObject({ code: 'TRANSACTION_STATE', detail })
    await expect(producer.commit()).rejects.toMatchObject({ code: 'TRANSACTION_STATE', detail })
  })

  test('for which a broker reports a fenced producer ends the producer', async () => {
    const { cluster, producer } = await begun()
    cluster.verdict = () => PRODUCER_FENCED
    await expect(producer.send([record('a')], OPEN)).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
    await expect(producer.abort()).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
  })

  test('of a delayed partition can end the producer without a further call', async () => {
    const { cluster, producer } = await begun({ t: [-1, 1] })
    const delayed: DelayedPartition[] = []
    const options = { ...OPEN, onDelayed: (one: DelayedPartition) => void delayed.push(one) }
    expect([...(await producer.send([record('a'), record('b', 1)], options))]).toEqual([
      undefined,
      { ok: true, offset: 0 },
    ])
    expect(delayed).toMatchObject([{ topic: 't', partition: 0 }])
    cluster.topics['t'] = 2
    cluster.verdict = () => PRODUCER_FENCED
    const end = expect(delayed[0]?.outcomes).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
    await cluster.clock.advance(TRY_MS)
    await end
    await expect(producer.commit()).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
  })
})

test('a close ends pending requests to the coordinator', async () => {
  const { cluster, producer } = await begun()
  cluster.on('EndTxn', () => deferred<never>().promise)
  await producer.send([record('a')], OPEN)
  const end = expect(producer.commit()).rejects.toMatchObject({ code: 'CLOSED' })
  await cluster.clock.advance(0)
  await producer.close()
  await end
})

test('partitions and their brokers are looked up as by any producer', async () => {
  const { producer } = setUp({ t: [1, -1] })
  expect(await producer.partitions('t')).toBe(2)
  expect([0, 1].map((partition) => producer.brokerOf({ topic: 't', partition }))).toEqual([1, -1])
})
