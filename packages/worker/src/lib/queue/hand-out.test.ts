import { deferred, systemClock } from '@millrace/core'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { SendReceipt } from '../contracts/task.ts'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { Outside, outgoing, runWorker, type TestApp, until } from '../fixtures/test-worker.fixture.ts'

const clock = systemClock()

function numberOf(event: HandedOutEvent): number {
  return Number(event.record.value?.toString())
}

/** Records for each key its numbers, in the order in which they were finished. */
class Orders {
  readonly byKey = new Map<string, number[]>()

  readonly see = (event: HandedOutEvent): void => {
    const key = String(event.record.key)
    const list = this.byKey.get(key)
    if (list === undefined) this.byKey.set(key, [numberOf(event)])
    else list.push(numberOf(event))
  }

  get count(): number {
    return [...this.byKey.values()].reduce((sum, list) => sum + list.length, 0)
  }

  expectAscending(): void {
    for (const list of this.byKey.values()) expect(list).toEqual(list.toSorted((a, b) => a - b))
  }
}

test('concurrent instances keep the order per key, even when events fail', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 3)
  await outside.numbers('in', { count: 6000, partitions: 3, keys: 60 })
  const orders = new Orders()
  const failed = new Set<number>()
  let most = 0
  let now = 0
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        instances: 32,
        retryMs: 3,
        handler: async (event) => {
          most = Math.max(most, ++now)
          try {
            if (numberOf(event) % 7 === 0) await clock.sleep(1)
            if (numberOf(event) % 97 === 0 && !failed.has(numberOf(event))) {
              failed.add(numberOf(event))
              throw new Error('first try')
            }
            orders.see(event)
          } finally {
            now--
          }
        },
      },
    ],
    settings: { maxBufferedEvents: 200 },
  })
  await until('all handled', () => orders.count === 6000)
  orders.expectAscending()
  expect(most).toBeGreaterThan(8)
  await worker.stop()
  expect(worker.stats().agents['a']).toMatchObject({
    received: 6000,
    processed: 6000,
    failed: failed.size,
    retried: failed.size,
  })
})

test('a concurrent agent keeps running while it waits for the next commit', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 4)
  await outside.numbers('in', { count: 40_000, partitions: 4, keys: 1000 })
  let handled = 0
  const { worker } = await runWorker(log, {
    agents: [{ name: 'a', topics: ['in'], instances: 8, handler: () => void handled++ }],
    settings: { commitIntervalMs: 60_000 },
  })
  await until('all handled', () => handled === 40_000)
  await worker.stop()
})

test('a single instance gets a failed event again before any other, with its effects dropped', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const counts = countTable('counts')
  const order: number[] = []
  const attempts: number[] = []
  await outside.numbers('in', { count: 200, partitions: 1, keys: 10 })
  const app: TestApp = {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        handler: (event) => {
          addTo(counts, event, String(event.record.key))
          event.send({ ...outgoing('out', 0, 'k', String(numberOf(event))), partition: undefined })
          if (numberOf(event) % 10 === 3 && event.attempts < 2) throw new Error('not yet')
          order.push(numberOf(event))
          attempts.push(event.attempts)
        },
      },
    ],
    tables: [counts],
    topics: { out: 1 },
  }
  const { worker } = await runWorker(log, app)
  await until('all handled', () => order.length === 200)
  await worker.stop()
  expect(order).toEqual(Array.from({ length: 200 }, (_, i) => i))
  expect(attempts.filter((count) => count === 2).length).toBe(20)
  expect(log.records('out').map(({ value }) => Number(value))).toEqual(order)
  const again = await runWorker(log, app)
  expect([...countsOf(again.worker.context.openStates(counts)).values()]).toEqual(Array.from({ length: 10 }, () => 20))
  await again.worker.stop()
})

test('events that need a key of an event in flight are deferred until that one is over', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  await outside.numbers('in', { count: 400, partitions: 2, keys: 40 })
  const counts = countTable('counts')
  let aside = 0
  const count = (name: string, instances: number): TestApp['agents'][number] => ({
    name,
    topics: ['in'],
    instances,
    handler: async (event) => {
      try {
        addTo(counts, event, `all-${event.partition}`)
      } catch (thrown) {
        aside++
        throw thrown
      }
      if (numberOf(event) % 9 === 0) await clock.sleep(1)
    },
  })
  const { worker } = await runWorker(log, { agents: [count('a', 8), count('b', 1)], tables: [counts] })
  const total = (): number => [...countsOf(worker.context.openStates(counts)).values()].reduce((a, b) => a + b, 0)
  await until('all counted', () => total() === 800)
  await worker.stop()
  expect(aside).toBeGreaterThan(0)
  expect(worker.stats().agents['a']).toMatchObject({ processed: 400, failed: 0, retried: 0, active: 0 })
  expect(log.committed('app').map(({ offset, metadata }) => [offset, metadata])).toEqual([
    [200, 'm1 a:0 b:0'],
    [200, 'm1 a:0 b:0'],
  ])
})

test('catching KEY_CONFLICT hides nothing', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 2, partitions: 1, keys: 2 })
  const counts = countTable('counts')
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        instances: 2,
        ordering: 'none',
        handler: async (event) => {
          try {
            addTo(counts, event, 'one')
          } catch {
            addTo(counts, event, 'other')
          }
          if (numberOf(event) === 0) await clock.sleep(5)
        },
      },
    ],
    tables: [counts],
  })
  await until('both', () => countsOf(worker.context.openStates(counts)).get('one') === 2)
  expect(countsOf(worker.context.openStates(counts)).has('other')).toBe(false)
  await worker.stop()
})

test('a rebalance does not wait for a slow agent, and the next owner knows its finished events beyond a gap', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 100, partitions: 1, keys: 100 })
  const fast: number[] = []
  const slow: number[] = []
  let hang = true
  const app: TestApp = {
    agents: [
      { name: 'fast', topics: ['in'], handler: (event) => void fast.push(numberOf(event)) },
      {
        name: 'slow',
        topics: ['in'],
        instances: 10,
        handler: async (event) => {
          if (hang && numberOf(event) % 10 === 0)
            await new Promise((_, reject) => event.signal.addEventListener('abort', () => reject(event.signal.reason)))
          slow.push(numberOf(event))
        },
      },
    ],
    settings: { shutdownTimeoutMs: 100 },
  }
  const first = await runWorker(log, app)
  await until('some done', () => slow.length > 0 && log.committed('app')[0]?.metadata.includes('fast:2s') === true)
  await first.worker.stop()
  const before = slow.length
  expect(log.committed('app')[0]).toMatchObject({ offset: 0, metadata: expect.stringMatching(/fast:2s/) })
  hang = false
  const second = await runWorker(log, app)
  await until('the rest', () => slow.length >= 100)
  await second.worker.stop()
  expect(before).toBeGreaterThan(0)
  expect(slow.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  expect(fast.length).toBe(100)
  expect(log.committed('app')[0]).toMatchObject({ offset: 100, metadata: 'm1 fast:0 slow:0' })
})

test('metadata of a send is available after the event, and refused within it', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 1, partitions: 1 })
  const receipts: SendReceipt[] = []
  const refused: unknown[] = []
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        handler: async (event) => {
          const receipt = event.send({ ...outgoing('out', 0, 'k', 'v'), partition: undefined })
          receipts.push(receipt)
          await receipt.metadata().catch((thrown: unknown) => refused.push(thrown))
        },
      },
    ],
    topics: { out: 1 },
  })
  await until('sent', () => log.records('out').length === 1)
  expect(refused).toMatchObject([{ code: 'AWAIT_IN_EVENT' }])
  expect(await receipts[0]?.metadata()).toEqual({ topic: 'out', partition: 0, offset: 0, timestamp: 1 })
  await worker.stop()
})

test('an event that is over refuses every use', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 1, partitions: 1 })
  const kept: HandedOutEvent[] = []
  const { worker } = await runWorker(log, {
    agents: [{ name: 'a', topics: ['in'], handler: (event) => void kept.push(event) }],
  })
  await until('handled', () => worker.stats().agents['a']?.processed === 1)
  const [event] = kept
  for (const call of [
    () => event?.hold({ apply: () => {}, drop: () => {} }),
    () => event?.send({ ...outgoing('out', 0, 'k', 'v') }),
    () => event?.finish(),
    () => event?.retry(0),
  ])
    expect(call).toThrow(expect.objectContaining({ code: 'NO_CURRENT_EVENT' }))
  await worker.stop()
})

test('fetched records stay within their bound under a slow agent, which delays no other topic', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('slow', 2)
  await outside.topic('fast', 2)
  const value = 'x'.repeat(1000)
  for (let round = 0; round < 20; round++)
    for (const name of ['slow', 'fast'])
      await outside.send(Array.from({ length: 1000 }, (_, i) => outgoing(name, i % 2, `k${i}`, value)))
  let fast = 0
  let release: () => void = () => {}
  const gate = new Promise<void>((resolve) => (release = resolve))
  let slow = 0
  const { worker } = await runWorker(log, {
    agents: [
      { name: 'slow', topics: ['slow'], handler: async () => (await gate, void slow++) },
      { name: 'fast', topics: ['fast'], handler: () => void fast++ },
    ],
    settings: { maxBufferedBytes: 2_000_000 },
  })
  await until('fast done', () => fast === 20_000)
  const { sources } = worker.stats()
  const held = sources.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0)
  expect(held).toBeLessThan(2_000_000 + 2 * 300_000)
  expect(sources.filter(({ topic }) => topic === 'slow').map(({ paused }) => paused)).toEqual(['buffer', 'buffer'])
  expect(
    Math.min(...sources.filter(({ topic }) => topic === 'slow').map(({ stalledMs }) => stalledMs)),
  ).toBeGreaterThan(0)
  release()
  await until('slow done', () => slow === 20_000)
  expect(worker.stats().sources.every(({ paused }) => paused === undefined)).toBe(true)
  await worker.stop()
})

test('at most maxUncommitted events are handed out before a commit, and early commits keep hand-out going', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 20_000, partitions: 1 })
  let handled = 0
  const { worker } = await runWorker(log, {
    agents: [{ name: 'a', topics: ['in'], handler: () => void handled++ }],
    settings: { maxUncommitted: 1000, commitIntervalMs: 60_000 },
  })
  await until('all handled', () => handled === 20_000)
  expect(worker.stats().commits.count).toBeGreaterThanOrEqual(10)
  await worker.stop()
})

test('hand-out stops at the limit of pending sends until the broker has taken some', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 5000, partitions: 1 })
  let most = 0
  let handled = 0
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        handler: (event) => {
          most = Math.max(most, worker.stats().pendingSends.bytes)
          for (let i = 0; i < 3; i++)
            event.send({ ...outgoing('out', 0, `k${i}`, 'x'.repeat(500)), partition: undefined })
          handled++
        },
      },
    ],
    topics: { out: 4 },
    settings: { maxPendingSendBytes: 100_000 },
  })
  await until('all handled', () => handled === 5000)
  await worker.stop()
  expect(most).toBeLessThan(105_000)
  expect(log.records('out').length).toBe(15_000)
})

test('a partition that was paused until its events were committed is fetched again, and gets later records too', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  let handled = 0
  const { worker } = await runWorker(log, {
    agents: [{ name: 'a', topics: ['in'], handler: () => void handled++ }],
    settings: { maxUncommitted: 1000 },
  })
  for (const wave of [1, 2]) {
    await outside.numbers('in', { first: (wave - 1) * 5000, count: 5000, partitions: 1 })
    await until(`wave ${wave}`, () => handled === wave * 5000)
  }
  await worker.stop()
})

test('records with an empty key keep their order like any other key; records without a key go to any free instance', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.send(Array.from({ length: 400 }, (_, i) => outgoing('in', 0, i % 2 === 0 ? '' : null, String(i))))
  const orders = new Orders()
  const first = deferred<void>()
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        instances: 4,
        handler: async (event) => {
          // The first event of the empty key waits until all events without a key that go to other instances are done.
          if (numberOf(event) === 0) await first.promise
          orders.see(event)
          if ((orders.byKey.get('null')?.length ?? 0) >= 150) first.resolve()
        },
      },
    ],
  })
  await until('all handled', () => orders.count === 400)
  expect(orders.byKey.get('')).toEqual(Array.from({ length: 200 }, (_, i) => 2 * i))
  await worker.stop()
})
