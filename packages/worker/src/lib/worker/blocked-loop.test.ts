import { AsyncLocalStorage } from 'node:async_hooks'
import { type Clock, type Logger, systemClock } from '@millrace/core'
import type { Consumer, ConsumerOptions } from '@millrace/core/driver'
import type { HandedOutEvent } from '../contracts/event.ts'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import type { BlockingEvent } from '../task/blocking-events.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { encodeOwnData, NO_OWN_DATA } from '../group/own-data.ts'
import {
  Outside,
  outgoing,
  runWorker,
  silentLog,
  type TestAgent,
  type TestWorker,
  until,
} from '../fixtures/test-worker.fixture.ts'

const SESSION_MS = 900
const PARTITIONS = 4
const COMPUTES_MS = 30_000
/** A block of that length; a busy machine may stand still for a third of such a session. */
const BLOCKED = /^The event loop was blocked for 3\d{4} ms/

/** A clock on which computing takes no time of the test. */
function processClock(): { readonly clock: Clock; compute(): void; stand(): void } {
  const base = systemClock()
  let [skewMs, cpuMs] = [0, 0]
  return {
    clock: {
      ...base,
      monotonic: () => base.monotonic() + skewMs,
      elapsedSince: (ms) => base.monotonic() + skewMs - ms,
      cpuTime: () => cpuMs,
    },
    compute: () => {
      skewMs += COMPUTES_MS
      cpuMs += COMPUTES_MS
    },
    stand: () => (skewMs += COMPUTES_MS),
  }
}

interface Seen {
  readonly value: string
  readonly attempts: number
  readonly refused: unknown
}

/** A worker of a group that removes it after every block, as a broker would. */
class Process {
  readonly seen: Seen[] = []
  readonly warnings: string[] = []
  readonly #time = processClock()
  readonly #leased: LeasedTransport[] = []
  #worker: TestWorker | undefined

  async start(
    log: MemoryLog,
    agent: Omit<TestAgent, 'handler'>,
    work: (event: HandedOutEvent, process: Process) => void | Promise<void>,
  ): Promise<void> {
    const logger: Logger = {
      ...silentLog,
      warn: (_fields, message) => {
        this.warnings.push(message)
        if (BLOCKED.test(message)) setImmediate(() => this.#throwOut())
      },
    }
    const handler = async (event: HandedOutEvent): Promise<void> => {
      this.seen.push({ value: String(event.record.value), attempts: event.attempts, refused: event.refused })
      // Streams would turn it into a dead letter.
      if (event.refused === undefined) await work(event, this)
    }
    this.#worker = await runWorker(
      log,
      { agents: [{ ...agent, handler }], settings: { sessionTimeoutMs: SESSION_MS } },
      {
        clock: this.#time.clock,
        contexts: new AsyncLocalStorage(),
        log: logger,
        wrap: (inner) => {
          const leased = new LeasedTransport(inner, () => this.#time.clock.monotonic())
          this.#leased.push(leased)
          return leased
        },
      },
    )
  }

  /** Computes for longer than the session. */
  compute(): void {
    this.#leased[0]?.stopHeartbeats()
    this.#time.compute()
  }

  /** Suspends the process for longer than the session. */
  stand(): void {
    this.#leased[0]?.stopHeartbeats()
    this.#time.stand()
  }

  times(value: string): readonly Seen[] {
    return this.seen.filter((one) => one.value === value)
  }

  async stop(): Promise<void> {
    await this.#worker?.worker.stop()
  }

  #throwOut(): void {
    this.#leased[0]?.goOn()
    this.#worker?.transport.expire()
  }
}

async function filled(count: number): Promise<MemoryLog> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  await outside.numbers('in', { count, partitions: PARTITIONS })
  return log
}

const committed = (log: MemoryLog): number => log.committed('app').reduce((sum, { offset }) => sum + offset, 0)
const POISON = '40'

test('an event whose handler always blocks fails after its second observed block, and the log names it', async () => {
  const log = await filled(400)
  const one = new Process()
  await one.start(log, { name: 'a', topics: ['in'], instances: 1 }, (event, process) => {
    if (String(event.record.value) === POISON) process.compute()
  })
  await until('all committed', () => committed(log) === 400, 20_000)
  expect(one.times(POISON)).toMatchObject([
    // One of many events of that turn.
    { attempts: 0, refused: undefined },
    { attempts: 0, refused: undefined },
    { attempts: 1, refused: undefined },
    { attempts: 2, refused: { code: 'EVENT_BLOCKED' } },
  ])
  const named = one.warnings.filter((text) => BLOCKED.test(text))
  expect(named).toEqual([
    expect.stringContaining('At work: in/0@'),
    expect.stringContaining('At work: in/0@10 of agent a.'),
    expect.stringContaining('At work: in/0@10 of agent a.'),
  ])
  // Before the event was handed out again, the other partitions had been finished.
  const again = one.seen
    .map(({ value }) => value)
    .indexOf(POISON, one.seen.findIndex(({ value }) => value === POISON) + 1)
  const between = one.seen.slice(0, again).map(({ value }) => Number(value))
  expect(new Set(between.filter((number) => number % PARTITIONS !== 0)).size).toBe(300)
  expect(one.seen.filter(({ refused }) => refused !== undefined).length).toBe(1)
  // The other events of that turn have not failed.
  expect(one.seen.every(({ value, attempts }) => value === POISON || attempts === 0)).toBe(true)
  await one.stop()
})

test('so does an event whose handler blocks after an await, among others that wait', async () => {
  const log = await filled(40)
  const one = new Process()
  await one.start(log, { name: 'a', topics: ['in'], instances: 8, ordering: 'none' }, async (event, process) => {
    await new Promise((resolve) => setImmediate(resolve))
    if (String(event.record.value) === '20') process.compute()
  })
  await until('all committed', () => committed(log) === 40, 20_000)
  expect(one.times('20').at(-1)).toMatchObject({ attempts: 2, refused: { code: 'EVENT_BLOCKED' } })
  expect(one.seen.filter(({ refused }) => refused !== undefined).length).toBe(1)
  expect(one.seen.every(({ value, attempts }) => value === '20' || attempts === 0)).toBe(true)
  await one.stop()
})

test('an event whose handler blocks once is handled again, with its output', async () => {
  const log = await filled(40)
  await new Outside(log).topic('out', 1)
  const one = new Process()
  let blocked = false
  await one.start(log, { name: 'a', topics: ['in'] }, (event, process) => {
    const value = String(event.record.value)
    event.send(outgoing('out', 0, 'k', value))
    if (blocked || value !== '20') return
    blocked = true
    process.compute()
  })
  await until('all committed', () => committed(log) === 40, 20_000)
  expect(one.seen.every(({ refused }) => refused === undefined)).toBe(true)
  expect(new Set(log.records('out').map(({ value }) => String(value))).size).toBe(40)
  await one.stop()
})

test.each(['alone', 'among others'])(
  'an event that waits while other code blocks the event loop is never blamed (%s)',
  async (how) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', PARTITIONS)
    const waiting: { resolve(): void }[] = []
    const one = new Process()
    const instances = how === 'alone' ? 1 : 8
    await one.start(log, { name: 'a', topics: ['in'], instances, ordering: 'none' }, async () => {
      await new Promise<void>((resolve) => waiting.push({ resolve }))
    })
    const count = how === 'alone' ? 1 : 8
    await outside.numbers('in', { count, partitions: PARTITIONS })
    for (let block = 1; block <= 3; block++) {
      await until('all events in flight', () => waiting.length === count)
      await new Promise((resolve) => setImmediate(resolve))
      // Blocks as a job, a page or the garbage collector would.
      one.compute()
      await until('named', () => one.warnings.filter((text) => BLOCKED.test(text)).length === block)
      expect(one.warnings.filter((text) => BLOCKED.test(text)).at(-1)).toContain('In flight, but waiting')
      // The events are lost, and delivered again.
      for (const { resolve } of waiting.splice(0)) resolve()
    }
    await until('all events in flight', () => waiting.length === count)
    for (const { resolve } of waiting) resolve()
    await until('all committed', () => committed(log) === count)
    expect(one.seen.every(({ refused, attempts }) => refused === undefined && attempts === 0)).toBe(true)
    await one.stop()
  },
)

test('an event that was handed out just before other code blocks is not blamed either', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  const one = new Process()
  let blocks = 3
  await one.start(log, { name: 'a', topics: ['in'] }, async (_event, process) => {
    if (blocks-- <= 0) return
    // In the same turn of the event loop, but not in the same run.
    setImmediate(() => process.compute())
    await new Promise((resolve) => setTimeout(resolve, 5))
  })
  await outside.numbers('in', { count: 1, partitions: PARTITIONS })
  await until('all committed', () => committed(log) === 1, 20_000)
  expect(one.seen.length).toBe(4)
  expect(one.seen.every(({ refused, attempts }) => refused === undefined && attempts === 0)).toBe(true)
  await one.stop()
})

test('a suspended process blames no event', async () => {
  const log = await filled(40)
  const one = new Process()
  let stood = false
  await one.start(log, { name: 'a', topics: ['in'] }, (event, process) => {
    if (stood || event.offset !== 5) return
    stood = true
    process.stand()
  })
  await until('all committed', () => committed(log) === 40, 20_000)
  expect(one.warnings.some((text) => text.includes('while the process stood still'))).toBe(true)
  expect(one.seen.every(({ refused, attempts }) => refused === undefined && attempts === 0)).toBe(true)
  await one.stop()
})

/** A transport whose group tells each member of these events. */
class TellingTransport extends LeasedTransport {
  blockingEvents: readonly BlockingEvent[] = []

  override consumer(options: ConsumerOptions): Consumer {
    const { listener } = options
    return super.consumer({
      ...options,
      listener: {
        onRevoke: () => listener.onRevoke(),
        onLost: () => listener.onLost(),
        onAssign: (change) =>
          listener.onAssign({
            ...change,
            ownData: encodeOwnData({ ...NO_OWN_DATA, blockingEvents: this.blockingEvents }),
          }),
      },
    })
  }
}

test('blocks that the group reports from another worker count here', async () => {
  const log = await filled(40)
  const blockingEvent = { subscription: 'a', topic: 'in', rounds: 1, blockedMs: 12_000 }
  const seen: Seen[] = []
  const { worker } = await runWorker(
    log,
    {
      agents: [
        {
          name: 'a',
          topics: ['in'],
          handler: ({ record, attempts, refused }) =>
            void seen.push({ value: String(record.value), attempts, refused }),
        },
      ],
      settings: { sessionTimeoutMs: SESSION_MS },
    },
    {
      wrap: (inner) => {
        const telling = new TellingTransport(inner, () => systemClock().monotonic())
        telling.blockingEvents = [
          { ...blockingEvent, partition: 1, offset: 2, isSure: true },
          { ...blockingEvent, partition: 2, offset: 3, isSure: false },
        ]
        return telling
      },
    },
  )
  await until('all committed', () => committed(log) === 40, 20_000)
  expect(seen.filter(({ attempts }) => attempts > 0)).toMatchObject([
    { value: '9', attempts: 1, refused: { code: 'EVENT_BLOCKED', message: expect.stringContaining('12000 ms') } },
    { value: '14', attempts: 1, refused: undefined },
  ])
  // The task with the unconfirmed event came last.
  expect(seen.slice(-10).every(({ value }) => Number(value) % PARTITIONS === 2)).toBe(true)
  await worker.stop()
})
