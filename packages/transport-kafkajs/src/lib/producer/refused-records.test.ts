import { describe, expect, test } from 'vitest'
import type { SendOutcome } from '@millrace/core/driver'
import { KafkaProducer } from './kafka-producer.ts'
import { producerId, record } from './produce.fixture.ts'
import { StoringCluster, type Verdict } from './storing-cluster.fixture.ts'

const CORRUPT_MESSAGE = 2
const NOT_LEADER = 6
const MESSAGE_TOO_LARGE = 10
const RECORD_LIST_TOO_LARGE = 18
const COORDINATOR_LOAD_IN_PROGRESS = 14
const TOPIC_AUTHORIZATION_FAILED = 29
const INVALID_TIMESTAMP = 32
const INVALID_RECORD = 87
/** Longer than any wait of the driver for another try. */
const TRY_MS = 1_500
const OPEN = { guard: (): void => {} }

const stored = (offset: number): SendOutcome => ({ ok: true, offset })
const refused = (code: string, detail: string): unknown => ({
  ok: false,
  error: expect.objectContaining({ code, detail: expect.stringContaining(detail) }),
})

/** Sends these values to one partition, for as long as it takes. */
async function send(
  verdict: Verdict,
  values: readonly string[],
): Promise<{ readonly cluster: StoringCluster; readonly outcomes: readonly SendOutcome[] }> {
  const cluster = new StoringCluster({ t: 1 })
  cluster.verdict = verdict
  const sent = new KafkaProducer(cluster.context).send(
    values.map((value) => record(value)),
    OPEN,
  )
  await cluster.clock.advance(10 * TRY_MS)
  return { cluster, outcomes: await sent }
}

const withBad =
  (errorCode: number): Verdict =>
  ({ values }) =>
    values.includes('bad') ? errorCode : undefined

describe('a batch that is refused for one of its records', () => {
  test.each([
    [MESSAGE_TOO_LARGE, 'RECORD_TOO_LARGE'],
    [RECORD_LIST_TOO_LARGE, 'RECORD_TOO_LARGE'],
    [INVALID_RECORD, 'RECORD_REFUSED'],
  ])('with the code %i is cut in two until the record is found; the others are stored', async (errorCode, code) => {
    const { cluster, outcomes } = await send(withBad(errorCode), ['a', 'b', 'bad', 'c'])
    expect(outcomes).toEqual([stored(0), stored(1), refused(code, 'A record for t/0 was refused.'), stored(2)])
    expect(cluster.stored['t/0']).toEqual(['a', 'b', 'c'])
    expect(cluster.batches.flat()).toEqual(['t/0: a b bad c', 't/0: a b', 't/0: bad c', 't/0: bad', 't/0: c'])
  })

  test("that the broker names loses only that record, with the broker's message", async () => {
    const verdict: Verdict = ({ values }) =>
      values.includes('bad')
        ? { errorCode: INVALID_RECORD, badRecords: [values.indexOf('bad')], message: 'No key.' }
        : undefined
    const { cluster, outcomes } = await send(verdict, ['a', 'bad', 'b'])
    expect(outcomes).toEqual([stored(0), refused('RECORD_REFUSED', 'was refused. No key. Kafka'), stored(1)])
    expect(cluster.batches.flat()).toEqual(['t/0: a bad b', 't/0: a b'])
  })

  test.each([
    [INVALID_TIMESTAMP, 'RECORD_REFUSED', 'A record for t/0 was refused. Kafka answered INVALID_TIMESTAMP.'],
    [TOPIC_AUTHORIZATION_FAILED, 'NOT_AUTHORIZED', 'needs the right Write on the topic'],
  ])('with the code %i, for which no record alone is to blame, is refused whole', async (errorCode, code, detail) => {
    const { cluster, outcomes } = await send(withBad(errorCode), ['a', 'bad'])
    expect(outcomes).toEqual([refused(code, detail), refused(code, detail)])
    expect(cluster.batches.flat()).toEqual(['t/0: a bad'])
  })
})

describe('a batch that a broker reports as damaged', () => {
  test('is sent three times, because the network may be the cause; then the record is searched for', async () => {
    const { cluster, outcomes } = await send(withBad(CORRUPT_MESSAGE), ['a', 'bad'])
    expect(outcomes).toEqual([stored(0), refused('RECORD_REFUSED', 'CORRUPT_MESSAGE')])
    const tries = cluster.batches.flat()
    expect(tries.slice(0, 4)).toEqual(['t/0: a bad', 't/0: a bad', 't/0: a bad', 't/0: a'])
    expect(tries.slice(4).every((one) => one === 't/0: bad')).toBe(true)
    expect(tries).toHaveLength(7)
  })

  test('is stored once it arrives intact, and the count of damaged attempts starts again', async () => {
    let tries = 0
    const { outcomes } = await send(() => (++tries % 3 === 0 ? undefined : CORRUPT_MESSAGE), ['a'])
    expect(outcomes).toEqual([stored(0)])
    expect(tries).toBe(3)
  })
})

test('temporary errors are retried with the same batch, without a limit', async () => {
  let tries = 0
  const { cluster, outcomes } = await send(() => (++tries < 6 ? NOT_LEADER : undefined), ['a', 'b'])
  expect(outcomes).toEqual([stored(0), stored(1)])
  expect(new Set(cluster.batches.flat())).toEqual(new Set(['t/0: a b']))
  expect(tries).toBe(6)
})

test('a batch is sent again if the response omits its partition', async () => {
  const cluster = new StoringCluster({ t: 2 })
  cluster.verdict = ({ partition }) => (partition === 0 && cluster.count('Produce') === 1 ? 'nothing' : undefined)
  const sent = new KafkaProducer(cluster.context).send([record('a'), record('b', 1)], OPEN)
  await cluster.clock.advance(TRY_MS)
  expect(await sent).toEqual([stored(0), stored(0)])
  expect(cluster.batches).toEqual([['t/0: a', 't/1: b'], ['t/0: a']])
})

test('a broker without a producer id is asked fifty times in half a second, and then at the usual intervals', async () => {
  const cluster = new StoringCluster(
    { t: 1 },
    { InitProducerId: () => producerId(-1, -1, COORDINATOR_LOAD_IN_PROGRESS) },
  )
  const sent = new KafkaProducer(cluster.context).send([record('a')], OPEN)
  await cluster.clock.advance(490)
  expect(cluster.count('InitProducerId')).toBe(50)
  await cluster.clock.advance(20)
  expect(cluster.count('InitProducerId')).toBe(50)
  cluster.on('InitProducerId', () => producerId(1, 0))
  await cluster.clock.advance(TRY_MS)
  expect(await sent).toEqual([stored(0)])
})
