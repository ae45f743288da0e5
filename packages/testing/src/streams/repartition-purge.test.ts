import { createApp, type App } from '@millrace/app'
import { expect, test } from 'vitest'
import { numberedRecords } from '../simulation/input-feed.ts'
import { simulate } from '../simulation/simulate.ts'
import { testApp, type TestApp } from '../index.ts'

const GUARANTEES = ['at-least-once', 'exactly-once'] as const
const REPARTITION = 'shop-sum-by-size-repartition'

interface Summing {
  readonly app: App
  readonly orders: ReturnType<typeof ordersOf>
  readonly sums: ReturnType<typeof sumsOf>
  /** Events of these values are not finished, as long as they are here. */
  readonly holds: Set<number>
  /** Where it runs. */
  readonly at: { t?: TestApp }
}

const ordersOf = (app: App) => app.topic('orders', { key: 'string', value: 'number', partitions: 2 })
const sumsOf = (app: App) => app.table('sums', { key: 'string', value: 'number', default: () => 0 })

/** Sums orders by their size, by way of a repartition topic. */
function summing(settings: Omit<Parameters<typeof createApp>[0], 'id'>): Summing {
  const app = createApp({ id: 'shop', ...settings })
  const orders = ordersOf(app)
  const sums = sumsOf(app)
  const holds = new Set<number>()
  const at: Summing['at'] = {}
  const sizeOf = (value: number): string => `size ${value % 3}`
  app.agent('sum', orders, async (stream) => {
    for await (const value of stream.groupBy(sizeOf, { name: 'by-size' })) {
      while (holds.has(value)) await at.t?.all[0]?.worker.context.clock.sleep(60_000)
      sums.update(sizeOf(value), (sum) => sum + value)
    }
  })
  return { app, orders, sums, holds, at }
}

async function sendNumbers(t: TestApp, { orders }: Summing, from: number, count: number): Promise<void> {
  for (let value = from; value < from + count; value++)
    await t.send(orders, { key: `k${value}`, value, timestamp: 946_684_800_000 + value })
  await t.settle()
}

const sumOf = ({ sums }: Summing): number =>
  ['size 0', 'size 1', 'size 2'].reduce((sum, size) => sum + (sums.get(size) ?? 0), 0)
const triangle = (count: number): number => (count * (count - 1)) / 2

for (const processingGuarantee of GUARANTEES) {
  test(`committed records are deleted, the others stay, and the next worker continues: ${processingGuarantee}`, async () => {
    const world = summing({ processingGuarantee })
    await using t = await testApp(world.app)
    world.at.t = t
    const [first] = t.all
    await sendNumbers(t, world, 0, 30)
    await t.advance('25s')
    expect(t.log.records(REPARTITION)).toHaveLength(30)
    await t.advance('10s')
    expect(t.log.records(REPARTITION)).toEqual([])

    // Two that hang: nothing from them on may go, however long it takes.
    for (const value of [40, 41]) world.holds.add(value)
    const before = t.log.committed('shop').filter(({ topic }) => topic === REPARTITION)
    await sendNumbers(t, world, 30, 30)
    await t.advance('90s')
    const unread = t.log.records(REPARTITION)
    expect(unread.some(({ value }) => String(value) === '40')).toBe(true)
    for (const { topic, partition, offset } of t.log.committed('shop')) {
      if (topic !== REPARTITION) continue
      expect(offset).toBeGreaterThanOrEqual(before.find((each) => each.partition === partition)?.offset ?? 0)
      const left = unread.filter((record) => record.partition === partition)
      // What is left begins where the group stands, and is all there.
      expect(left.map((record) => record.offset)).toEqual(left.map((_, i) => offset + i))
    }

    // Killed between a purge and the next commit: the topic begins where the group stands, and nothing is missing.
    await first?.kill()
    world.holds.clear()
    await t.worker()
    await sendNumbers(t, world, 60, 10)
    await t.advance('1m')
    expect(sumOf(world)).toBe(triangle(70))
    expect(t.log.records(REPARTITION)).toEqual([])
    expect(t.logged.lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([])
  })
}

test('an interval of 0 keeps everything; so does a repartition topic that the app declares itself', async () => {
  const kept = summing({ repartitionPurgeInterval: 0 })
  const named = summing({})
  named.app.topic(REPARTITION, { key: 'string' })
  for (const world of [kept, named]) {
    await using t = await testApp(world.app)
    await sendNumbers(t, world, 0, 20)
    await t.advance('90s')
    expect(t.log.records(REPARTITION)).toHaveLength(20)
  }
})

test.each(GUARANTEES)('sums are right after crashes, freezes and rebalances: %s', async (processingGuarantee) => {
  let purged = 0
  for (let seed = 1; seed <= 12; seed++) {
    let world: Summing | undefined
    await simulate(
      () => {
        world = summing({ processingGuarantee, commitInterval: '20ms', repartitionPurgeInterval: '40ms' })
        return world.app
      },
      {
        seed,
        input: numberedRecords(ordersOf(createApp({ id: 'shop' })), {
          records: 60,
          keys: 8,
          value: (_key, number) => number,
        }),
        check: ({ mayDouble, log, input }) => {
          if (world === undefined) throw new Error('There is no app.')
          const sent = input.reduce((sum, { value }) => sum + Number(value), 0)
          if (mayDouble) expect(sumOf(world)).toBeGreaterThanOrEqual(sent)
          else expect(sumOf(world)).toBe(sent)
          if (log.records(REPARTITION).length < 60) purged++
        },
      },
    )
  }
  expect(purged).toBeGreaterThan(0)
})
