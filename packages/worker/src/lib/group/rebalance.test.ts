import { systemClock } from '@millrace/core'
import type { Consumer, ConsumerOptions } from '@millrace/core/driver'
import type { HandedOutEvent } from '../contracts/event.ts'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import {
  Outside,
  outgoing,
  runWorker,
  type TestApp,
  type TestWorker,
  testWorker,
  until,
} from '../fixtures/test-worker.fixture.ts'
import { decodeMemberData } from './member-data.ts'

const PARTITIONS = 8

/** Records what a worker sends about itself when it joins. */
class ToldTransport extends LeasedTransport {
  onJoin: (data: Uint8Array) => void = () => {}

  override consumer(options: ConsumerOptions): Consumer {
    const memberData = (): Uint8Array => {
      const data = options.memberData()
      this.onJoin(data)
      return data
    }
    return super.consumer({ ...options, memberData })
  }
}

/** How often each number was finished, over all workers of a test. */
class Tally {
  readonly handled = new Map<number, number>()

  readonly see = (event: HandedOutEvent): void => {
    const number = Number(event.record.value?.toString())
    this.handled.set(number, (this.handled.get(number) ?? 0) + 1)
  }

  has(count: number): boolean {
    return this.handled.size >= count
  }

  get duplicates(): number {
    return [...this.handled.values()].filter((times) => times > 1).length
  }
}

async function topic(log: MemoryLog): Promise<Outside> {
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  return outside
}

function committedSum(log: MemoryLog): number {
  return log.committed('app').reduce((sum, { offset }) => sum + offset, 0)
}

/** Sends numbered records in small portions while `work` goes on. */
async function sendWhile(outside: Outside, total: number, work: () => Promise<void>): Promise<void> {
  const clock = systemClock()
  const sending = async (): Promise<void> => {
    const portion = total / 100
    for (let first = 0; first < total; first += portion) {
      await outside.numbers('in', { first, count: portion, partitions: PARTITIONS })
      await clock.sleep(4)
    }
  }
  await Promise.all([sending(), work()])
}

test('under load with clean joins and leaves, every agent handles every record once', async () => {
  const log = createMemoryLog()
  const outside = await topic(log)
  const [fast, slow] = [new Tally(), new Tally()]
  const clock = systemClock()
  const app: TestApp = {
    agents: [
      { name: 'fast', topics: ['in'], handler: fast.see },
      {
        name: 'slow',
        topics: ['in'],
        instances: 4,
        handler: async (event) => {
          if (event.offset % 50 === 0) await clock.sleep(1)
          slow.see(event)
        },
      },
    ],
  }
  const total = 20_000
  await sendWhile(outside, total, async () => {
    const first = await runWorker(log, app, { id: 'w1' })
    await clock.sleep(30)
    const second = await runWorker(log, app, { id: 'w2' })
    await clock.sleep(30)
    const third = await runWorker(log, app, { id: 'w3' })
    await clock.sleep(30)
    await first.worker.stop()
    const fourth = await runWorker(log, app, { id: 'w4' })
    await Promise.all([second.worker.stop(), clock.sleep(20).then(() => third.worker.stop())])
    await until('all handled', () => fast.has(total) && slow.has(total), 20_000)
    await fourth.worker.stop()
  })
  expect(fast.duplicates).toBe(0)
  expect(slow.duplicates).toBe(0)
  expect(committedSum(log)).toBe(total)
})

test('under kills nothing is lost, and tables count every committed event once', async () => {
  const log = createMemoryLog()
  const outside = await topic(log)
  const tally = new Tally()
  const counts = countTable('counts')
  const app: TestApp = {
    agents: [
      {
        name: 'counter',
        topics: ['in'],
        handler: (event) => {
          addTo(counts, event, String(event.record.key))
          event.send({ ...outgoing('out', 0, String(event.record.value), ''), partition: undefined })
          tally.see(event)
        },
      },
    ],
    tables: [counts],
    topics: { out: 4 },
  }
  const total = 20_000
  const clock = systemClock()
  const live: TestWorker[] = []
  await sendWhile(outside, total, async () => {
    for (let round = 0; round < 6; round++) {
      while (live.length < 3) live.push(await runWorker(log, app, { id: `w${round}` }))
      await clock.sleep(25)
      live.shift()?.kill()
    }
    while (live.length < 3) live.push(await runWorker(log, app))
    await until('all handled', () => tally.has(total), 20_000)
  })
  await until('all committed', () => committedSum(log) === total)
  const sent = new Set(log.records('out').map(({ key }) => String(key)))
  expect(sent.size).toBe(total)
  const sum = live
    .flatMap(({ worker }) => [...countsOf(worker.context.openStates(counts)).values()])
    .reduce((a, b) => a + b, 0)
  // At least once, an event that was handled but not committed before a kill counts again.
  expect(sum).toBeGreaterThanOrEqual(total)
  expect(sum - total).toBeLessThanOrEqual([...tally.handled.values()].reduce((a, b) => a + b, 0) - total)
  for (const { worker } of live) await worker.stop()
})

test('tasks that stay keep their tables, without another recovery', async () => {
  const log = createMemoryLog()
  const outside = await topic(log)
  const counts = countTable('counts')
  const app: TestApp = {
    agents: [{ name: 'counter', topics: ['in'], handler: (event) => addTo(counts, event, String(event.record.key)) }],
    tables: [counts],
  }
  await outside.numbers('in', { count: 800, partitions: PARTITIONS })
  const first = await runWorker(log, app)
  await until('counted', () => committedSum(log) === 800)
  const before = first.worker.stats().states['counts']?.recovery.restoredRows
  const second = await runWorker(log, app)
  await until('moved', () => first.worker.assignment().tasks.length === PARTITIONS / 2)
  expect(second.worker.stats().states['counts']).toMatchObject({ rows: 48 })
  expect(first.worker.stats().states['counts']?.recovery.restoredRows).toBe(before)
  expect(first.worker.stats().states['counts']?.partitions.length).toBe(PARTITIONS / 2)
  expect(second.worker.assignment().group.size).toBe(PARTITIONS)
  await second.worker.stop()
  await until(
    'taken back',
    () => first.worker.status === 'running' && first.worker.assignment().tasks.length === PARTITIONS,
  )
  expect([...countsOf(first.worker.context.openStates(counts)).values()].reduce((a, b) => a + b, 0)).toBe(800)
  await first.worker.stop()
})

test('a worker that is removed from the group drops its events in flight, and rejoins', async () => {
  const log = createMemoryLog()
  const outside = await topic(log)
  const tally = new Tally()
  const aborted: HandedOutEvent[] = []
  let block = true
  const app: TestApp = {
    agents: [
      {
        name: 'stuck',
        topics: ['in'],
        handler: async (event) => {
          if (block)
            await new Promise((_, reject) => event.signal.addEventListener('abort', () => reject(event.signal.reason)))
          tally.see(event)
        },
      },
    ],
  }
  await outside.numbers('in', { count: 100, partitions: PARTITIONS })
  const { worker, transport } = await runWorker(log, app)
  await until('one event in flight', () => worker.stats().agents['stuck']?.active === 1)
  worker.on('partitionsLost', (lost) => {
    block = false
    expect(lost.length).toBe(PARTITIONS)
  })
  transport.expire()
  await until('all handled', () => tally.has(100))
  expect(aborted).toEqual([])
  expect(tally.duplicates).toBe(0)
  await worker.stop()
  expect(committedSum(log)).toBe(100)
})

test("a worker that is removed from the group keeps the group's life and secret, and rejoins with them", async () => {
  const log = createMemoryLog()
  await topic(log)
  const lives: (string | undefined)[] = []
  const secrets: (string | undefined)[] = []
  const { worker, transport } = await runWorker(
    log,
    { agents: [{ name: 'a', topics: ['in'], handler: () => {} }] },
    {
      wrap: (inner) => {
        const told = new ToldTransport(inner, () => systemClock().monotonic())
        told.onJoin = (data) => {
          const decoded = decodeMemberData(data)
          lives.push(decoded?.life)
          secrets.push(decoded?.secret)
        }
        return told
      },
    },
  )
  transport.expire()
  await until('the worker to be back', () => worker.stats().rebalances === 2)
  transport.expire()
  await until('the worker to be back again', () => worker.stats().rebalances === 3)
  const [first, second, third] = lives
  expect(first).toBeUndefined()
  expect(second).toBeDefined()
  expect(third).toBe(second)
  expect(worker.groupSecret()).toMatch(/^[\w-]{22}$/)
  expect(secrets.slice(1)).toEqual([worker.groupSecret(), worker.groupSecret()])
  await worker.stop()
})

test('nothing is lost with two rebalances in a row during a recovery, and a stop in between', async () => {
  const log = createMemoryLog()
  const outside = await topic(log)
  const tally = new Tally()
  const counts = countTable('counts')
  const app: TestApp = {
    agents: [
      {
        name: 'counter',
        topics: ['in'],
        handler: (event) => (addTo(counts, event, String(event.record.key)), tally.see(event)),
      },
    ],
    tables: [counts],
  }
  await outside.numbers('in', { count: 5000, partitions: PARTITIONS, keys: 5000 })
  const workers = Array.from({ length: 6 }, (_, i) => testWorker(log, app, { id: `w${i}` }))
  await Promise.all(workers.map(({ worker }) => worker.start()))
  await Promise.all(workers.slice(0, 3).map(({ worker }) => worker.stop()))
  await until('all handled', () => tally.has(5000))
  await until('all committed', () => committedSum(log) === 5000)
  const left = workers.slice(3)
  const sum = (): number =>
    left.flatMap(({ worker }) => [...countsOf(worker.context.openStates(counts)).values()]).reduce((a, b) => a + b, 0)
  await until('all counted', () => sum() === 5000)
  expect(tally.duplicates).toBe(0)
  await Promise.all(left.map(({ worker }) => worker.stop()))
})

test('with more workers than partitions the surplus workers wait', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  const tally = new Tally()
  const workers = await Promise.all(
    [0, 1, 2].map((i) =>
      runWorker(log, { agents: [{ name: 'a', topics: ['in'], handler: tally.see }] }, { id: `w${i}` }),
    ),
  )
  await until('settled', () => workers.reduce((sum, { worker }) => sum + worker.assignment().tasks.length, 0) === 2)
  expect(workers.map(({ worker }) => worker.status)).toEqual(['running', 'running', 'running'])
  await outside.numbers('in', { count: 100, partitions: 2 })
  await until('handled', () => tally.has(100))
  await Promise.all(workers.map(({ worker }) => worker.stop()))
  expect(tally.duplicates).toBe(0)
})

test('members share a secret, which outlives its maker and every leader', async () => {
  const log = createMemoryLog()
  await topic(log)
  const app: TestApp = { agents: [{ name: 'a', topics: ['in'], handler: () => {} }] }
  const first = await runWorker(log, app, { id: 'w0' })
  const secret = first.worker.groupSecret()
  expect(secret).toMatch(/^[\w-]{22}$/)
  const second = await runWorker(log, app, { id: 'w1' })
  expect(second.worker.groupSecret()).toBe(secret)
  await first.worker.stop()
  const third = await runWorker(log, app, { id: 'w2' })
  await second.worker.stop()
  await until('the worker to be alone', () => third.worker.assignment().members.size === 1)
  expect(third.worker.groupSecret()).toBe(secret)
  await third.worker.stop()
  const later = await runWorker(log, app, { id: 'w3' })
  expect(later.worker.groupSecret()).not.toBe(secret)
  await later.worker.stop()
})
