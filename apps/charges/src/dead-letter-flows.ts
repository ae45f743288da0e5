import { randomBytes } from 'node:crypto'
import { eventually } from '@millrace/conformance'
import { NO_HEADERS, type OutgoingRecord, partitionsOf } from '@millrace/core'
import { partitionForKey, type Transport } from '@millrace/core/driver'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { AppProcess } from '@millrace/testing'
import { command, commandJson, startWorker, type AppRun } from './run-app.ts'

export interface FlowsOptions {
  readonly broker: () => string
  /** Looks at the broker from outside the app. */
  readonly transport: () => Promise<Transport>
  readonly guarantees: readonly AppRun['guarantee'][]
}

const PARTITIONS = 8
const ORDERS = 600
const CUSTOMERS = 20
/** Every order of these fails for good until their cards are good again. */
const EXPIRED = ['customer-3', 'customer-11']
/** Orders that nobody can decode. */
const GARBAGE = 4

/** Dead letters with real workers and the real command line: the same flow on every broker, under both guarantees. */
export function deadLetterFlows({ broker, transport, guarantees }: FlowsOptions): void {
  const running = new Set<AppProcess>()
  let outside: Transport

  beforeAll(async () => {
    outside = await transport()
    await outside.connect({ timeoutMs: 60_000 })
  }, 120_000)

  beforeEach(async () => {
    const admin = outside.admin()
    await admin.deleteTopics(['orders'])
    await eventually(async () => (await admin.topics(['orders'])).length === 0, { what: 'the last orders to go' })
    await admin.createTopics([{ name: 'orders', partitions: PARTITIONS, replicationFactor: -1, config: {} }])
    await admin.close()
  })

  afterAll(async () => {
    await Promise.all([...running].map((worker) => worker.kill()))
    await outside.close()
  })

  it.each(guarantees)(
    'what fails for good is kept, listed, shown and replayed, each once: %s',
    async (guarantee) => {
      const run: AppRun = { broker: broker(), id: `charges-${randomBytes(4).toString('hex')}`, guarantee }
      const start = async (expired: readonly string[]): Promise<AppProcess> => {
        const worker = await startWorker(run, expired)
        running.add(worker)
        return worker
      }
      const orders = Array.from({ length: ORDERS }, (_, i) => ({
        customer: `customer-${i % CUSTOMERS}`,
        amount: i + 1,
      }))
      const failed = orders.filter(({ customer }) => EXPIRED.includes(customer)).length

      const workers = await Promise.all([start(EXPIRED), start(EXPIRED)])
      await send(outside, [...orders.map(orderRecord), ...Array.from({ length: GARBAGE }, (_, i) => garbageRecord(i))])
      await untilCommitted(outside, run.id)
      const [listed, charged] = await Promise.all([listOf(run), rowsOf(run, 'charged'), showsTheLatest(run)])
      expect(listed).toMatchObject({
        topic: `${run.id}-charge-dlq`,
        letters: failed + GARBAGE,
        waiting: failed + GARBAGE,
      })
      expect(charged).toEqual(totals(orders.filter(({ customer }) => !EXPIRED.includes(customer))))
      await Promise.all([...workers.map(async (worker) => expect(await worker.stop()).toBe(0)), shows(run, listed)])

      // The cards are good again. Nobody works meanwhile, so that two replays see the same letters.
      expect(await replay(run)).toMatchObject({ replayed: failed + GARBAGE, before: 0, refused: { count: 0 } })
      expect(await replay(run)).toMatchObject({ replayed: 0, before: failed + GARBAGE })
      const next = await start([])
      await untilCommitted(outside, run.id)
      const after = await Promise.all([rowsOf(run, 'charged'), rowsOf(run, 'ordered'), listOf(run)])
      expect(after[0]).toEqual(totals(orders))
      expect(after[1]).toEqual(totalsOf(orders, () => 1))
      // Garbage stays garbage: it has failed again.
      expect(after[2]).toMatchObject({ letters: failed + 2 * GARBAGE, waiting: GARBAGE })
      expect(await next.stop()).toBe(0)
    },
    180_000,
  )
}

interface Order {
  readonly customer: string
  readonly amount: number
}

interface Listed {
  readonly letters: number
  readonly waiting: number
  readonly newest: readonly { readonly partition: number; readonly offset: number; readonly failure: object }[]
}

async function listOf(run: AppRun): Promise<Listed> {
  const all = (await commandJson(run, ['dlq', 'list'])) as readonly (Listed & { readonly name: string })[]
  expect(all.map(({ name, letters }) => [name, letters > 0])).toEqual([
    ['charge', true],
    ['count-orders', false],
  ])
  const [charge] = all
  if (charge === undefined) throw new Error('dlq list does not tell of the agent.')
  return charge
}

async function shows(run: AppRun, { newest }: Listed): Promise<void> {
  expect(newest).toHaveLength(5)
  const [letter] = newest
  const shown = await commandJson(run, ['dlq', 'show', 'charge', String(letter?.partition), String(letter?.offset)])
  expect(shown).toMatchObject({ ...letter, agent: 'charge', stack: expect.stringContaining('at ') })
}

async function showsTheLatest(run: AppRun): Promise<void> {
  const latest = await command(run, ['dlq', 'show', 'charge', '--latest'])
  expect(latest.code).toBe(0)
  expect(latest.output).toMatch(/from +orders, partition \d, offset \d+/)
}

function replay(run: AppRun): Promise<unknown> {
  return commandJson(run, ['dlq', 'replay', 'charge', '--all'])
}

async function rowsOf(run: AppRun, table: string): Promise<ReadonlyMap<string, number>> {
  const rows = (await commandJson(run, ['table', table, '--limit', '1000'])) as readonly {
    key: string
    value: number
  }[]
  return new Map(rows.map(({ key, value }) => [key, value]))
}

function totals(orders: readonly Order[]): ReadonlyMap<string, number> {
  return totalsOf(orders, ({ amount }) => amount)
}

function totalsOf(orders: readonly Order[], of: (order: Order) => number): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const order of orders) sums.set(order.customer, (sums.get(order.customer) ?? 0) + of(order))
  return sums
}

function orderRecord(order: Order): OutgoingRecord {
  const key = Buffer.from(order.customer)
  return {
    topic: 'orders',
    partition: partitionForKey(key, PARTITIONS),
    key,
    value: Buffer.from(JSON.stringify(order)),
    headers: NO_HEADERS,
    timestamp: Date.now(),
  }
}

function garbageRecord(i: number): OutgoingRecord {
  const value = Buffer.from([0xff, i])
  return { topic: 'orders', partition: i % PARTITIONS, key: null, value, headers: NO_HEADERS, timestamp: Date.now() }
}

async function send(outside: Transport, records: readonly OutgoingRecord[]): Promise<void> {
  const producer = outside.producer()
  const outcomes = await producer.send(records, { guard: () => {} })
  expect(outcomes.every(({ ok }) => ok)).toBe(true)
  await producer.close()
}

/** Until the group has committed all orders. */
async function untilCommitted(outside: Transport, id: string): Promise<void> {
  const admin = outside.admin()
  const partitions = partitionsOf('orders', PARTITIONS)
  await eventually(
    async () => {
      const ends = await admin.offsets(partitions, 'read-committed')
      const committed = new Map((await admin.committed(id, partitions)).map((one) => [one.partition, one.offset]))
      return ends.every(({ partition, end }) => end === 0 || committed.get(partition) === end)
    },
    { what: 'all orders to be committed', limitMs: 90_000 },
  )
  await admin.close()
}
