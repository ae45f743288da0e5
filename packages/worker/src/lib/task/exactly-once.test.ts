import { type Deferred, deferred, manualClock, MillraceError, type OutgoingRecord, systemClock } from '@millrace/core'
import type { TransactionalProducer } from '@millrace/core/driver'
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
  testWorker,
  type TestWorker,
  until,
} from '../fixtures/test-worker.fixture.ts'

const PARTITIONS = 4
const clock = systemClock()

const number = (event: HandedOutEvent): number => Number(event.record.value?.toString())
const send = (event: HandedOutEvent, topic: string): void =>
  void event.send({ ...outgoing(topic, 0, String(event.record.key), String(number(event))), partition: undefined })

function committedSum(log: MemoryLog): number {
  return log.committed('app').reduce((sum, { offset }) => sum + offset, 0)
}

/** Counts per key in a changelog, as the next owner would read it. */
function latest(log: MemoryLog, topic: string): Map<string, number> {
  return new Map(log.records(topic).map(({ key, value }) => [String(key), Number(value?.toString())]))
}

/**
 * Two agents on one topic: one has concurrent instances, and counts and routes; the other only routes. Each fails on
 * some first attempts, after its effects.
 */
function routingApp(): { readonly app: TestApp; readonly counts: ReturnType<typeof countTable> } {
  const counts = countTable('counts')
  return {
    counts,
    app: {
      agents: [
        {
          name: 'counter',
          topics: ['in'],
          instances: 6,
          handler: async (event) => {
            addTo(counts, event, String(event.record.key))
            send(event, number(event) % 2 === 0 ? 'even' : 'odd')
            if (number(event) % 101 === 0 && event.attempts === 0) throw new Error('first try')
            if (number(event) % 13 === 0) await clock.sleep(1)
          },
        },
        {
          name: 'copier',
          topics: ['in'],
          handler: (event) => {
            send(event, 'copy')
            if (number(event) % 89 === 0 && event.attempts === 0) throw new Error('first try')
          },
        },
      ],
      tables: [counts],
      topics: { even: 2, odd: 3, copy: 1 },
      settings: { exactlyOnce: true, commitIntervalMs: 10 },
    },
  }
}

function expectExact(log: MemoryLog, total: number, keys: number): void {
  const numbers = (...topics: string[]): number[] =>
    topics.flatMap((topic) => log.records(topic).map(({ value }) => Number(value))).toSorted((a, b) => a - b)
  const all = Array.from({ length: total }, (_, i) => i)
  expect(numbers('even', 'odd')).toEqual(all)
  expect(numbers('copy')).toEqual(all)
  const counted = latest(log, 'counts-changelog')
  expect(counted.size).toBe(keys)
  for (const count of counted.values()) expect(count).toBe(total / keys)
}

test('under kills, joins and leaves every effect happens exactly once', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  const { app } = routingApp()
  const total = 12_000
  const live: TestWorker[] = []
  const sending = async (): Promise<void> => {
    for (let first = 0; first < total; first += 120) {
      await outside.numbers('in', { first, count: 120, partitions: PARTITIONS, keys: 40 })
      await clock.sleep(4)
    }
  }
  const trouble = async (): Promise<void> => {
    for (let round = 0; round < 8; round++) {
      while (live.length < 3) live.push(await runWorker(log, app, { id: `w${round}` }))
      await clock.sleep(25)
      const victim = live.shift()
      if (round % 3 === 2) await victim?.worker.stop()
      else if (round % 3 === 1) {
        victim?.transport.expire()
        if (victim !== undefined) live.push(victim)
      } else victim?.kill()
    }
    while (live.length < 2) live.push(await runWorker(log, app))
  }
  await Promise.all([sending(), trouble()])
  await until('all committed', () => committedSum(log) === total, 20_000)
  for (const { worker } of live) await worker.stop()
  expectExact(log, total, 40)
})

test('a fenced task is reopened as a whole, and only by its owner', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const { app, counts } = routingApp()
  const { worker } = await runWorker(log, app)
  await outside.numbers('in', { count: 400, partitions: 1, keys: 40 })
  await until('some committed', () => committedSum(log) > 0)
  await outside.fence('app-1-0')
  await outside.numbers('in', { first: 400, count: 400, partitions: 1, keys: 40 })
  await until('all committed', () => committedSum(log) === 800)
  expect(countsOf(worker.context.openStates(counts)).get('k7')).toBe(20)
  await worker.stop()
  expectExact(log, 800, 40)
})

test('an event that fails after sending more than maxEventBytes loses no other event', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 20, partitions: 1 })
  const failed = new Set<number>()
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'a',
        topics: ['in'],
        handler: (event) => {
          for (let i = 0; i < 10; i++)
            event.send({ ...outgoing('out', 0, 'k', `${number(event)} ${'x'.repeat(300)}`), partition: undefined })
          if (number(event) % 7 !== 3 || failed.has(number(event))) return
          failed.add(number(event))
          throw new Error('first try')
        },
      },
    ],
    topics: { out: 1 },
    settings: { exactlyOnce: true, maxEventBytes: 2000 },
  })
  await until('all committed', () => committedSum(log) === 20)
  await worker.stop()
  expect(failed.size).toBe(3)
  expect(log.records('out').length).toBe(200)
})

/** Event 0 sends more than maxEventBytes, and then waits for `go`; events of other keys finish meanwhile. */
function spillingApp(failing: (event: HandedOutEvent) => boolean): {
  readonly app: TestApp
  readonly go: Deferred<void>
  readonly begun: readonly number[]
  readonly finished: readonly number[]
} {
  const go = deferred<void>()
  const begun: number[] = []
  const finished: number[] = []
  const handler = async (event: HandedOutEvent): Promise<void> => {
    begun.push(number(event))
    const sends = number(event) === 0 ? 10 : 1
    for (let i = 0; i < sends; i++)
      event.send({ ...outgoing('out', 0, 'k', `${number(event)} ${'x'.repeat(300)}`), partition: undefined })
    if (number(event) === 0) await go.promise
    if (failing(event)) throw new Error('first try')
    finished.push(number(event))
  }
  return {
    go,
    begun,
    finished,
    app: {
      agents: [{ name: 'a', topics: ['in'], instances: 4, ordering: 'none', handler }],
      topics: { out: 1 },
      settings: { exactlyOnce: true, maxEventBytes: 2000, commitIntervalMs: 5, drainTimeoutMs: 20 },
    },
  }
}

const numbersIn = (log: MemoryLog, topic: string): readonly number[] =>
  log.records(topic).map(({ value }) => Number(String(value).split(' ')[0]))

const TEN_OF_0_AND_REST = [...Array.from({ length: 10 }, () => 0), ...Array.from({ length: 19 }, (_, i) => i + 1)]

test.each([false, true])(
  'sends beyond maxEventBytes are committed only once their event has finished, whether it fails first: %s',
  async (fails) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    // Partition 1 serves as a marker: once it is committed, commits of partition 0 would have happened too.
    await outside.topic('in', 2)
    let failed = false
    const { app, go, begun, finished } = spillingApp((event) => {
      if (!fails || failed || number(event) !== 0) return false
      return (failed = true)
    })
    const { worker } = await runWorker(log, app)
    await outside.send(Array.from({ length: 20 }, (_, i) => outgoing('in', 0, `k${i}`, String(i))))
    await until('some events to finish beside it', () => begun.includes(0) && finished.length > 5)
    const rounds = worker.stats().commits.count + 4
    for (let sent = 100; worker.stats().commits.count < rounds; sent++) {
      await outside.send([outgoing('in', 1, 'k', String(sent))])
      await until('the commit of partition 1', () =>
        log.committed('app').some(({ partition, offset }) => partition === 1 && offset === sent - 99),
      )
    }
    expect(numbersIn(log, 'out').filter((one) => one < 100)).toEqual([])
    go.resolve()
    await until('all committed', () => log.committed('app').some(({ offset }) => offset === 20))
    await worker.stop()
    expect(
      numbersIn(log, 'out')
        .filter((one) => one < 100)
        .toSorted((a, b) => a - b),
    ).toEqual(TEN_OF_0_AND_REST)
    expect(failed).toBe(fails)
  },
)

test('records that arrive while such an event blocks the commit of its task are handled afterwards without further input', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const numbers = (from: number): readonly OutgoingRecord[] =>
    Array.from({ length: 10 }, (_, i) => outgoing('in', 0, `k${from + i}`, String(from + i)))
  await outside.send(numbers(0))
  const { app, go, finished } = spillingApp(() => false)
  const { worker } = await runWorker(log, app)
  await until('nine finished events that wait for their commit', () => {
    const { inFlight } = worker.quiet()
    return finished.length === 9 && inFlight.includes('a commit')
  })
  await outside.send(numbers(10))
  await until('ten more records to arrive', () => worker.quiet().positions.some(({ position }) => position === 20))
  go.resolve()
  await until('all records to be handled', () => committedSum(log) === 20)
  expect(finished.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i))
  await worker.stop()
})

test('an event that has sent more than maxEventBytes and fails during a stop is in no commit', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.send(Array.from({ length: 20 }, (_, i) => outgoing('in', 0, `k${i}`, String(i))))
  const first = spillingApp((event) => number(event) === 0)
  const a = await runWorker(log, first.app)
  await until('some events to finish beside it', () => first.begun.includes(0) && first.finished.length > 5)
  const stopping = a.worker.stop()
  first.go.resolve()
  await stopping
  expect(numbersIn(log, 'out')).not.toContain(0)
  const second = spillingApp(() => false)
  second.go.resolve()
  const b = await runWorker(log, second.app)
  await until('all committed', () => committedSum(log) === 20)
  await b.worker.stop()
  expect(numbersIn(log, 'out').toSorted((x, y) => x - y)).toEqual(TEN_OF_0_AND_REST)
})

test('a rebalance waits for an event with more than maxEventBytes of sends only as long as for any other, and leaves nothing of it behind', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  const first = spillingApp(() => false)
  // The event does not finish before the end of the rebalance, which waits no longer than this.
  const settings = { ...first.app.settings, drainTimeoutMs: 100, rebalanceTimeoutMs: 40_000 }
  const a = await runWorker(log, { ...first.app, settings }, { id: 'a' })
  // Twice, so that the partition that moves has such an event in any case.
  for (const partition of [0, 1])
    await outside.send(Array.from({ length: 20 }, (_, i) => outgoing('in', partition, `k${i}`, String(i))))
  await until(
    'two events to wait',
    () => first.begun.filter((one) => one === 0).length === 2 && first.finished.length > 10,
  )
  await until('their commits to wait for them', () => a.worker.quiet().inFlight.includes('a commit'))
  const second = spillingApp(() => false)
  second.go.resolve()
  const begunMs = clock.monotonic()
  const b = await runWorker(log, second.app, { id: 'b' })
  await until('one partition to move', () => second.finished.includes(0))
  expect(clock.monotonic() - begunMs).toBeLessThan(15_000)
  first.go.resolve()
  await until('all committed', () => committedSum(log) === 40)
  await Promise.all([a.worker.stop(), b.worker.stop()])
  expect(numbersIn(log, 'out').toSorted((x, y) => x - y)).toEqual(
    [...TEN_OF_0_AND_REST, ...TEN_OF_0_AND_REST].toSorted((x, y) => x - y),
  )
})

/** Its producers reach the broker only when a test lets them. */
class HeldInits extends LeasedTransport {
  readonly open: Deferred<void> = deferred<void>()
  waiting = 0

  override transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    const inner = super.transactionalProducer(options)
    return {
      init: async () => {
        this.waiting++
        await this.open.promise
        await inner.init()
      },
      partitions: (topic) => inner.partitions(topic),
      brokerOf: (partition) => inner.brokerOf(partition),
      send: (records, sending) => inner.send(records, sending),
      begin: () => inner.begin(),
      sendOffsets: (groupId, offsets) => inner.sendOffsets(groupId, offsets),
      commit: () => inner.commit(),
      abort: () => inner.abort(),
      close: () => inner.close(),
    }
  }
}

test('a task that is lost during fencing does not affect the tasks assigned with it', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  const { app } = routingApp()
  let held: HeldInits | undefined
  const first = testWorker(log, app, {
    id: 'first',
    wrap: (transport) => (held = new HeldInits(transport, () => clock.monotonic())),
  })
  const started = first.worker.start()
  await until('fencing', () => held?.waiting === PARTITIONS)
  const second = await runWorker(log, app, { id: 'second' })
  await until('each worker to have its share', () => first.worker.assignment().tasks.length === PARTITIONS / 2)
  held?.open.resolve()
  await started
  await outside.numbers('in', { count: 100, partitions: PARTITIONS, keys: 10 })
  await until('all committed', () => committedSum(log) === 100)
  expectExact(log, 100, 10)
  await Promise.all([first.worker.stop(), second.worker.stop()])
})

/** Its producers run a hook of the test before each call. */
class Watched extends LeasedTransport {
  before: (call: 'init' | 'send' | 'offsets' | 'commit') => void = () => {}

  override transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    const inner = super.transactionalProducer(options)
    return {
      init: async () => {
        this.before('init')
        await inner.init()
      },
      partitions: (topic) => inner.partitions(topic),
      brokerOf: (partition) => inner.brokerOf(partition),
      send: async (records, sending) => {
        this.before('send')
        return inner.send(records, sending)
      },
      begin: () => inner.begin(),
      sendOffsets: async (groupId, offsets) => {
        this.before('offsets')
        await inner.sendOffsets(groupId, offsets)
      },
      commit: async () => {
        this.before('commit')
        await inner.commit()
      },
      abort: () => inner.abort(),
      close: () => inner.close(),
    }
  }
}

test.each(['send', 'offsets', 'commit'] as const)(
  'a permanent error stops the worker and is not retried: %s',
  async (failing) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    let inits = 0
    const refusal = new MillraceError('NOT_AUTHORIZED', 'Transactional id "app-1-0" may not.')
    const { worker } = testWorker(log, routingApp().app, {
      wrap: (inner) => {
        const transport = new Watched(inner, () => clock.monotonic())
        transport.before = (call) => {
          if (call === 'init') inits++
          // Spares the first commit, which belongs to the opening.
          if (call === failing && log.committed('app').length > 0) throw refusal
        }
        return transport
      },
    })
    await worker.start()
    await outside.numbers('in', { count: 10, partitions: 1 })
    await expect(worker.finished).rejects.toBe(refusal)
    expect(inits).toBe(1)
    expect(committedSum(log)).toBe(0)
  },
)

test('a task whose transactions keep failing is reopened after growing waits, until one is committed', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const manual = manualClock()
  const fencedAtMs: number[] = []
  let failures = 6
  const { worker } = await runWorker(log, routingApp().app, {
    clock: manual,
    wrap: (inner) => {
      const transport = new Watched(inner, () => manual.monotonic())
      transport.before = (call) => {
        if (call === 'init') fencedAtMs.push(manual.monotonic())
        if (call === 'commit' && log.committed('app').length > 0 && failures-- > 0)
          throw new MillraceError('PRODUCER_FENCED', 'As if the transaction had timed out.')
      }
      return transport
    },
  })
  await outside.numbers('in', { count: 10, partitions: 1 })
  await until('committed', () => {
    void manual.advance(10)
    return committedSum(log) === 10
  })
  const waits = fencedAtMs.slice(1).map((atMs, i) => atMs - (fencedAtMs[i] ?? 0))
  expect(waits.length).toBe(6)
  expect(worker.stats().abortedTransactions).toBe(6)
  // The first reopening comes at once; jitter shortens a wait by a fifth at most.
  for (const [i, leastMs] of [0, 80, 160, 320, 640, 1280].entries()) expect(waits[i]).toBeGreaterThanOrEqual(leastMs)
  await worker.stop()
})

test('a reopened task is fenced only after a later sign of life from the group', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const manual = manualClock()
  let inits = 0
  let transport: Watched | undefined
  const { app } = routingApp()
  const { worker } = await runWorker(
    log,
    { ...app, settings: { ...app.settings, sessionTimeoutMs: 60_000 } },
    {
      clock: manual,
      wrap: (inner) => {
        transport = new Watched(inner, () => manual.monotonic())
        transport.before = (call) => void (call === 'init' && inits++)
        return transport
      },
    },
  )
  transport?.stopHeartbeats()
  await manual.advance(50)
  await outside.fence('app-1-0')
  await outside.numbers('in', { count: 10, partitions: 1 })
  await until('the task to be reopened', () => {
    void manual.advance(10)
    return worker.assignment().tasks[0]?.state === 'opening'
  })
  for (let i = 0; i < 50; i++) await manual.advance(20)
  expect(inits).toBe(1)
  transport?.goOn()
  await until('committed', () => {
    void manual.advance(10)
    return committedSum(log) === 10
  })
  expect(inits).toBe(2)
  await worker.stop()
})
