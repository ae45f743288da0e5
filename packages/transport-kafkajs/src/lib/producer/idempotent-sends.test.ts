import { type Logger, MillraceError, type OutgoingRecord } from '@millrace/core'
import type { SendOutcome } from '@millrace/core/driver'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kafkaErrorName } from '../errors/kafka-errors.ts'
import { createKafkaTransport } from '../kafka-transport.ts'
import { answerMetadata, impatientClock, scriptedBroker } from '../scripted-broker.fixture.ts'
import { answerProduce, readProduce, record, type SentBatch } from './produce.fixture.ts'

const TOPIC = 't'
const PARTITIONS = 2
const OPEN = { guard: (): void => {} }

/** The fate of a Produce request. */
type Fate =
  /** Stored and answered. */
  | 'fine'
  /** Stored, but the connection is closed before the answer. */
  | 'answer lost'
  /** The connection is closed before the broker has the request. */
  | 'request lost'
  /** The same, but a few requests later the broker receives it after all. */
  | 'late'
  /** Stored, but by too few replicas in time. */
  | 'timed out'

interface ProducerState {
  epoch: number
  readonly batches: { readonly epoch: number; readonly first: number; readonly last: number; readonly offset: number }[]
}

/** A partition's log as Kafka's leaders keep it, with their state of each producer. */
class PartitionLog {
  readonly values: string[] = []
  readonly producers = new Map<number, ProducerState>()

  /** Returns error code and offset. */
  append({ producerId, epoch, first, values }: SentBatch): readonly [code: number, offset: number] {
    if (values.some((value) => value.endsWith('!'))) return [MESSAGE_TOO_LARGE, -1]
    const last = (first + values.length - 1) % SEQUENCES
    const known = this.producers.get(producerId)
    const same = known?.batches.find((one) => one.epoch === epoch && one.first === first && one.last === last)
    if (same !== undefined) return [0, same.offset]
    if (known !== undefined && epoch < known.epoch) return [INVALID_PRODUCER_EPOCH, -1]
    if (known !== undefined) {
      const expected = epoch > known.epoch ? 0 : ((known.batches.at(-1)?.last ?? -1) + 1) % SEQUENCES
      if (first !== expected) return [OUT_OF_ORDER, -1]
    }
    const offset = this.values.push(...values) - values.length
    const kept = known === undefined || known.epoch < epoch ? [] : known.batches
    this.producers.set(producerId, { epoch, batches: [...kept, { epoch, first, last, offset }].slice(-5) })
    return [0, offset]
  }
}

const MESSAGE_TOO_LARGE = 10
const REQUEST_TIMED_OUT = 7
const COORDINATOR_LOAD_IN_PROGRESS = 14
const CLUSTER_AUTHORIZATION_FAILED = 31
const OUT_OF_ORDER = 45
const INVALID_PRODUCER_EPOCH = 47
const SEQUENCES = 2 ** 31

/** A producer of the driver, and a broker that treats its requests as `fates` say; the last one is repeated. */
async function setUp(fates: Iterable<Fate> = []): Promise<Site> {
  const logs = Array.from({ length: PARTITIONS }, () => new PartitionLog())
  const fate = fates[Symbol.iterator]()
  const late: { readonly batches: readonly SentBatch[]; wait: number }[] = []
  const seen: (readonly SentBatch[])[] = []
  const warnings: string[] = []
  const site = { idsGiven: 0, refuseIds: false, loading: 0, answers: [] as number[] }
  const arrive = (): void => {
    for (const one of late) if (--one.wait === 0) for (const batch of one.batches) logs[batch.partition]?.append(batch)
  }
  const broker = await scriptedBroker(1, {
    metadata: (_, answer) => answerMetadata(answer, [broker], [{ name: TOPIC, partitions: PARTITIONS }]),
    initProducerId: (_, answer) => {
      const refusal = site.refuseIds ? CLUSTER_AUTHORIZATION_FAILED : COORDINATOR_LOAD_IN_PROGRESS
      const isGiven = !site.refuseIds && site.loading-- <= 0
      answer.int32(0).int16(isGiven ? 0 : refusal)
      answer.int64(isGiven ? 1000 + site.idsGiven++ : -1).int16(isGiven ? 0 : -1)
    },
    produce: (request, answer) => {
      const { batches } = readProduce(request)
      seen.push(batches)
      const next = fate.next().value ?? 'fine'
      if (next === 'late') late.push({ batches, wait: 3 })
      arrive()
      if (next === 'late' || next === 'request lost') return 'lost'
      const results = batches.map((batch) => [batch, site.answers.shift() ?? undefined] as const)
      const stored = results.map(([batch, code]) => {
        if (code !== undefined) return [batch, [code, -1]] as const
        return [batch, logs[batch.partition]?.append(batch) ?? [0, -1]] as const
      })
      if (next === 'answer lost') return 'lost'
      answerProduce(
        answer,
        stored.map(([{ topic, partition }, [code, offset]]) => {
          const errorCode = next === 'timed out' && code === 0 ? REQUEST_TIMED_OUT : code
          return { topic, partition, errorCode, baseOffset: errorCode === 0 ? offset : -1 }
        }),
      )
      return undefined
    },
  })
  const log: Logger = { debug: () => {}, info: () => {}, error: () => {}, warn: (_, text) => void warnings.push(text) }
  const transport = createKafkaTransport(
    { brokers: [broker.address], clientId: 'producer' },
    { clock: impatientClock(), log },
  )
  await transport.connect({ timeoutMs: 10_000 })
  return {
    ...{ logs, seen, warnings, site, producer: transport.producer() },
    [Symbol.asyncDispose]: async () => {
      await transport.close()
      await broker[Symbol.asyncDispose]()
    },
  }
}

interface Site extends AsyncDisposable {
  readonly logs: readonly PartitionLog[]
  /** The batches of each Produce request. */
  readonly seen: readonly (readonly SentBatch[])[]
  readonly warnings: readonly string[]
  readonly site: { idsGiven: number; refuseIds: boolean; loading: number; answers: number[] }
  readonly producer: ReturnType<ReturnType<typeof createKafkaTransport>['producer']>
}

const fates = fc.array(fc.constantFrom<Fate>('fine', 'answer lost', 'request lost', 'late', 'timed out'), {
  maxLength: 12,
})

test('whatever is lost, each record is stored once, at the reported offset, and in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fates,
      fc.array(
        fc.record({
          sizes: fc.tuple(fc.nat(3), fc.nat(3)),
          /** The index of a record that is too large for the topic. */
          bad: fc.option(fc.nat(5), { nil: undefined }),
          /** The request before which the lease has run out. */
          interrupted: fc.option(fc.nat(2), { nil: undefined }),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      async (fates, sends) => {
        await using site = await setUp(fates)
        const outcomes = new Map<OutgoingRecord, SendOutcome>()
        const all: OutgoingRecord[] = []
        let waiting: OutgoingRecord[] = []
        const send = async (interrupted: number | undefined): Promise<void> => {
          const records = waiting
          let requests = 0
          const guard = (): void => {
            if (requests++ === interrupted) throw new MillraceError('LEASE_EXPIRED', 'Gone.')
          }
          try {
            const given = await site.producer.send(records, { guard })
            waiting = []
            records.forEach((one, nth) => given[nth] !== undefined && outcomes.set(one, given[nth]))
          } catch {
            // The interrupted records go first in the next send.
            waiting = records
          }
        }
        for (const { sizes, bad, interrupted } of sends) {
          const made = sizes.flatMap((size, partition) =>
            Array.from({ length: size }, (_, nth) =>
              record(`${all.length + partition * 10 + nth}${nth === bad ? '!' : ''}`, partition),
            ),
          )
          all.push(...made)
          waiting = [...waiting, ...made]
          await send(interrupted)
        }
        while (waiting.length > 0) await send(undefined)
        site.logs.forEach(({ values }, partition) => {
          const ours = all.filter((one) => one.partition === partition)
          const good = ours.filter((one) => outcomes.get(one)?.ok === true)
          expect(values).toEqual(good.map(({ value }) => String(value)))
          expect(good.map((one) => outcomes.get(one))).toEqual(values.map((_, offset) => ({ ok: true, offset })))
          for (const one of ours) expect(outcomes.get(one)?.ok).toBe(!String(one.value).endsWith('!'))
        })
      },
    ),
    { numRuns: 40 },
  )
})

test('a request without a response is sent again with the same bytes', async () => {
  await using site = await setUp(['answer lost', 'request lost', 'timed out'])
  expect(await site.producer.send([record('a'), record('b'), record('c', 1)], OPEN)).toEqual([
    { ok: true, offset: 0 },
    { ok: true, offset: 1 },
    { ok: true, offset: 0 },
  ])
  expect(site.seen.length).toBe(4)
  expect(new Set(site.seen.map((batches) => batches.map(({ bytes }) => bytes.toString('hex')).join()))).toHaveLength(1)
  expect(site.site.idsGiven).toBe(1)
})

describe('numbers of a batch that may be stored are not used for another one', () => {
  test('if it is not sent again because its task is lost', async () => {
    await using site = await setUp(['answer lost'])
    let requests = 0
    const guard = (): void => {
      if (requests++ === 1) throw new MillraceError('NOT_ASSIGNED', 'Gone.')
    }
    await expect(site.producer.send([record('old')], { guard })).rejects.toMatchObject({ code: 'NOT_ASSIGNED' })
    expect(await site.producer.send([record('new')], OPEN)).toEqual([{ ok: true, offset: 1 }])
    expect(site.logs[0]?.values).toEqual(['old', 'new'])
    expect(site.seen.at(-1)).toMatchObject([{ epoch: 1, first: 0 }])
  })

  test('if the broker refuses it when it is sent again', async () => {
    await using site = await setUp(['answer lost'])
    site.site.answers.push(0, MESSAGE_TOO_LARGE)
    // Its first answer is lost, so its outcome stays unknown.
    expect(await site.producer.send([record('a')], OPEN)).toMatchObject([{ ok: false }])
    expect(await site.producer.send([record('b')], OPEN)).toEqual([{ ok: true, offset: 0 }])
    expect(site.seen.at(-1)).toMatchObject([{ epoch: 1, first: 0 }])
  })
})

test('a refused batch leaves no gap in the numbers', async () => {
  await using site = await setUp()
  const values = ['a', 'b!', 'c', 'd']
  const outcomes = await site.producer.send(
    values.map((value) => record(value)),
    OPEN,
  )
  expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true, true])
  expect(await site.producer.send([record('e')], OPEN)).toEqual([{ ok: true, offset: 3 }])
  expect(new Set(site.seen.flat().map(({ epoch }) => epoch))).toEqual(new Set([0]))
})

test.each([OUT_OF_ORDER, INVALID_PRODUCER_EPOCH, 59])(
  "a broker that has lost the producer's state (code %i) accepts the batch in the next epoch, with a warning",
  async (code) => {
    await using site = await setUp()
    await site.producer.send([record('a'), record('x', 1)], OPEN)
    site.site.answers.push(code)
    expect(await site.producer.send([record('b')], OPEN)).toEqual([{ ok: true, offset: 1 }])
    expect(await site.producer.send([record('c'), record('y', 1)], OPEN)).toMatchObject([{ offset: 2 }, { offset: 1 }])
    expect(site.seen.flat().map(({ partition, epoch, first }) => [partition, epoch, first])).toEqual([
      ...[
        [0, 0, 0],
        [1, 0, 0],
      ],
      ...[
        [0, 0, 1],
        [0, 1, 0],
      ],
      ...[
        [0, 1, 1],
        [1, 0, 1],
      ],
    ])
    expect(site.warnings).toContainEqual(
      expect.stringMatching(new RegExp(`^Kafka answered ${kafkaErrorName(code)} for t/0. The broker`)),
    )
  },
)

test('DUPLICATE_SEQUENCE_NUMBER counts as stored, at an unknown offset', async () => {
  await using site = await setUp()
  site.site.answers.push(46)
  expect(await site.producer.send([record('a'), record('b')], OPEN)).toEqual([
    { ok: true, offset: -1 },
    { ok: true, offset: -1 },
  ])
})

test('without the right to a producer id each record is refused; once it is granted the next send succeeds', async () => {
  await using site = await setUp()
  site.site.refuseIds = true
  const [refused] = await site.producer.send([record('a')], OPEN)
  expect(refused).toMatchObject({
    ok: false,
    error: {
      code: 'NOT_AUTHORIZED',
      detail: expect.stringMatching(/CLUSTER_AUTHORIZATION_FAILED.*Write on a topic.*IdempotentWrite on the cluster/),
    },
  })
  expect(site.seen).toEqual([])
  site.site.refuseIds = false
  expect(await site.producer.send([record('a')], OPEN)).toEqual([{ ok: true, offset: 0 }])
})

test('a broker that has to fetch producer ids first is asked again, without a warning', async () => {
  await using site = await setUp()
  site.site.loading = 5
  expect(await site.producer.send([record('a')], OPEN)).toEqual([{ ok: true, offset: 0 }])
  expect(site.warnings).toEqual([])
})
