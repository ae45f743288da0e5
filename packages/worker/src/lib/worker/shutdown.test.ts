import { deferred, manualClock, type ManualClock, MillraceError } from '@millrace/core'
import type { Consumer, ConsumerOptions, TransactionalProducer, Transport } from '@millrace/core/driver'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
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

type Call = 'init' | 'send offsets' | 'commit' | 'abort' | 'close a producer' | 'commit offsets' | 'committed' | 'leave'

/** A transport with one call that gets no answer until its part is closed. */
class Unanswered extends LeasedTransport {
  readonly call: Call
  silent = false
  /** How many calls wait. */
  waiting = 0

  constructor(inner: ConstructorParameters<typeof LeasedTransport>[0], call: Call) {
    super(inner, () => 0)
    this.call = call
  }

  override consumer(options: ConsumerOptions): Consumer {
    const inner = super.consumer(options)
    return {
      ...inner,
      commit: (offsets) => this.#answer('commit offsets', () => inner.commit(offsets)),
      committed: (partitions) => this.#answer('committed', () => inner.committed(partitions)),
      close: () => this.#answer('leave', () => inner.close()),
    }
  }

  override transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    const inner = super.transactionalProducer(options)
    const closed = new AbortController()
    return {
      init: () => this.#answer('init', () => inner.init(), closed.signal),
      partitions: (topic) => inner.partitions(topic),
      brokerOf: (partition) => inner.brokerOf(partition),
      send: (records, sending) => inner.send(records, sending),
      begin: () => inner.begin(),
      sendOffsets: (groupId, offsets) =>
        this.#answer('send offsets', () => inner.sendOffsets(groupId, offsets), closed.signal),
      commit: () => this.#answer('commit', () => inner.commit(), closed.signal),
      abort: () => this.#answer('abort', () => inner.abort(), closed.signal),
      close: () => {
        closed.abort()
        return this.#answer('close a producer', () => inner.close())
      },
    }
  }

  #answer<T>(call: Call, ask: () => Promise<T>, closed?: AbortSignal): Promise<T> {
    if (!this.silent || this.call !== call) return ask()
    this.waiting++
    return new Promise<T>((_, reject) =>
      closed?.addEventListener('abort', () => reject(new MillraceError('CLOSED', 'The producer is closed.'))),
    )
  }
}

const SHUTDOWN_MS = 5000
/** How far the clock is moved at a time. */
const STEP_MS = 100

/** Moves the clock until the condition holds, within a limit. */
async function moved(clock: ManualClock, what: string, isSo: () => boolean, mostMs = 10_000): Promise<void> {
  for (let passedMs = 0; !isSo() && passedMs < mostMs; passedMs += STEP_MS) await clock.advance(STEP_MS)
  await until(what, isSo, 2000)
}

const cases: readonly (readonly [Call, exactlyOnce: boolean, inFlight: boolean])[] = [
  ['init', true, false],
  ['committed', true, false],
  ['committed', false, false],
  ['send offsets', true, false],
  ['commit', true, false],
  ['abort', true, false],
  ['close a producer', true, false],
  ['commit offsets', false, false],
  ['leave', false, false],
  ['leave', true, true],
]

test.each(cases)(
  'a stop ends in time if this call is never answered: %s (exactly once: %s, an event in flight: %s)',
  async (call, exactlyOnce, inFlight) => {
    const clock = manualClock()
    // Nothing is committed then, so the transaction stays open.
    const hard = call === 'abort'
    let isInHand = false
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 2)
    await outside.numbers('in', { count: 10, partitions: 2 })
    let transport: Unanswered | undefined
    const app: TestApp = {
      agents: [
        {
          name: 'a',
          topics: ['in'],
          handler: async (event) => {
            event.send(outgoing('out', 0, 'k', 'v'))
            if (!inFlight || event.offset !== 3) return
            isInHand = true
            await new Promise((resolve) => event.signal.addEventListener('abort', resolve, { once: true }))
          },
        },
      ],
      topics: { out: 1 },
      settings: { exactlyOnce, shutdownTimeoutMs: SHUTDOWN_MS, commitIntervalMs: hard ? 600_000 : 50 },
    }
    const opening = call === 'init' || call === 'committed'
    const { worker } = testWorker(log, app, {
      clock,
      wrap: (inner) => {
        transport = new Unanswered(inner, call)
        transport.silent = opening
        return transport
      },
    })
    const started = worker.start()
    started.catch(() => {})
    if (opening) await until('the call to wait', () => (transport?.waiting ?? 0) > 0)
    else {
      await started
      await until('handled', () => (inFlight ? isInHand : worker.stats().agents['a']?.processed === 10))
      if (transport !== undefined) transport.silent = true
    }
    let over = false
    void worker.stop({ hard }).then(() => (over = true))
    await moved(clock, 'stopped', () => over, SHUTDOWN_MS)
    expect(transport?.waiting).toBeGreaterThan(0)
    expect(worker.status).toBe('stopped')
  },
)

/** A transport that cannot be closed, and whose group at some point stops answering commits and leaves. */
class Hung extends LeasedTransport {
  hung = false

  override consumer(options: ConsumerOptions): Consumer {
    const inner = super.consumer(options)
    return { ...inner, commit: (offsets) => (this.hung ? never() : inner.commit(offsets)), close: () => never() }
  }

  override close(): Promise<void> {
    return never()
  }
}

function never<T>(): Promise<T> {
  return new Promise<T>(() => {})
}

test.each([false, true])(
  'a stop takes no longer if handler, commits, group, store and transport all hang (of a failed worker: %s)',
  async (fails) => {
    const clock = manualClock()
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 2)
    await outside.numbers('in', { count: 10, partitions: 2 })
    let isInHand = false
    const app: TestApp = {
      agents: [
        {
          name: 'a',
          topics: ['in'],
          handler: (event) => {
            if (event.offset !== 3) return
            isInHand = true
            return never()
          },
        },
      ],
      settings: { shutdownTimeoutMs: SHUTDOWN_MS, commitIntervalMs: 600_000 },
    }
    const store = new HeapStore()
    store.close = () => never()
    let transport: Hung | undefined
    const wrap = (inner: Transport): Transport => (transport = new Hung(inner, () => 0))
    const { worker } = testWorker(log, app, { clock, store, wrap })
    await worker.start()
    await until('in flight', () => isInHand)
    if (transport !== undefined) transport.hung = true
    let over = false
    if (fails) worker.context.fail(new MillraceError('WORKER_FAILED', 'It cannot go on.'))
    void worker.stop().then(() => (over = true))
    await moved(clock, 'stopped', () => over, SHUTDOWN_MS)
    expect(worker.status).toBe(fails ? 'failed' : 'stopped')
  },
)

const tasksOf = ({ worker }: TestWorker): number =>
  worker.assignment().tasks.filter(({ state }) => state === 'running').length

test('a slow event delays no other task of a stopping worker: those are committed and taken over', async () => {
  const clock = manualClock()
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 4)
  const hanging = deferred<void>()
  const handled: string[] = []
  const app = (id: string): TestApp => ({
    agents: [
      {
        name: 'a',
        topics: ['in'],
        handler: (event) => {
          handled.push(`${id} ${event.partition}@${event.offset}`)
          return String(event.record.value) === 'slow' ? hanging.promise : undefined
        },
      },
    ],
    settings: { shutdownTimeoutMs: 60_000, commitIntervalMs: 600_000 },
  })
  const first = await runWorker(log, app('first'), { clock, id: 'first' })
  const second = await runWorker(log, app('second'), { clock, id: 'second' })
  await moved(clock, 'each worker to have two tasks', () => tasksOf(first) === 2 && tasksOf(second) === 2)
  const [busy = 0, idle = 0] = first.worker.assignment().tasks.flatMap(({ sources }) => sources.map((s) => s.partition))
  for (const [partition, value] of [
    [idle, 'quick'],
    [busy, 'slow'],
  ] as const) {
    await outside.send([outgoing('in', partition, 'k', value)])
    await moved(clock, 'handled', () => handled.includes(`first ${partition}@0`))
  }

  const stopped = first.worker.stop()
  await moved(clock, 'the other worker to have three tasks', () => tasksOf(second) === 3)
  await outside.send([outgoing('in', idle, 'k', 'next')])
  await moved(clock, 'the other worker to handle the next event', () => handled.includes(`second ${idle}@1`))
  expect(first.worker.assignment().tasks.map(({ sources }) => sources[0]?.partition)).toEqual([busy])

  hanging.resolve()
  await moved(clock, 'the other worker to have all tasks', () => tasksOf(second) === 4)
  await stopped
  await second.worker.stop()
  expect(handled).toEqual([...new Set(handled)])
  expect(log.committed('app').find(({ partition }) => partition === busy)?.offset).toBe(1)
})

test('a stopping worker with a slow event in each task delays no rebalance', async () => {
  const clock = manualClock()
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 4)
  const hanging = deferred<void>()
  const handled: string[] = []
  const app = (id: string): TestApp => ({
    agents: [
      {
        name: 'a',
        topics: ['in'],
        instances: 2,
        ordering: 'none',
        handler: (event) => {
          handled.push(`${id} ${event.partition}@${event.offset}`)
          return String(event.record.value) === 'slow' ? hanging.promise : undefined
        },
      },
    ],
    settings: { shutdownTimeoutMs: 60_000, rebalanceTimeoutMs: 120_000, commitIntervalMs: 600_000 },
  })
  const first = await runWorker(log, app('first'), { clock, id: 'first' })
  const second = await runWorker(log, app('second'), { clock, id: 'second' })
  await moved(clock, 'each worker to have two tasks', () => tasksOf(first) === 2 && tasksOf(second) === 2)
  const partitionsOf = ({ worker }: TestWorker): readonly number[] =>
    worker.assignment().tasks.flatMap(({ sources }) => sources.map(({ partition }) => partition))
  const busy = partitionsOf(first)
  for (const partition of busy) await outside.send([outgoing('in', partition, null, 'slow')])
  await moved(clock, 'both handlers to be at work', () =>
    busy.every((partition) => handled.includes(`first ${partition}@0`)),
  )

  const stopped = first.worker.stop()
  // A third worker makes the group rebalance: a member that waits in it handles nothing.
  const third = testWorker(log, app('third'), { clock, id: 'third' })
  const joined = third.worker.start()
  await moved(clock, 'the third worker to have a task', () => tasksOf(third) === 1, 3000)
  for (const partition of [0, 1, 2, 3].filter((each) => !busy.includes(each)))
    await outside.send([outgoing('in', partition, null, 'next')])
  await moved(
    clock,
    'the others to handle new records',
    () => handled.filter((one) => /^(second|third)/.test(one)).length === 2,
  )
  // The tasks for which it waits stay with it until they are done, and none of their events is handled twice.
  expect(partitionsOf(first)).toEqual(busy)
  hanging.resolve()
  await moved(clock, 'the others to have all tasks', () => tasksOf(second) === 2 && tasksOf(third) === 2)
  await Promise.all([stopped, joined])
  await Promise.all([second.worker.stop(), third.worker.stop()])
  expect(handled).toEqual([...new Set(handled)])
  for (const partition of busy)
    expect(log.committed('app').find((offset) => offset.partition === partition)?.offset).toBe(1)
})

test('a task that becomes free later moves in the next rebalance of the group', async () => {
  const clock = manualClock()
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  const waits = [deferred<void>(), deferred<void>()]
  const handled: string[] = []
  const app = (id: string): TestApp => ({
    agents: [
      {
        name: 'a',
        topics: ['in'],
        instances: 2,
        ordering: 'none',
        handler: (event) => {
          handled.push(`${id} ${event.partition}@${event.offset}`)
          return event.offset === 0 ? waits[event.partition]?.promise : undefined
        },
      },
    ],
    settings: { shutdownTimeoutMs: 60_000, rebalanceTimeoutMs: 120_000, commitIntervalMs: 600_000 },
  })
  const first = await runWorker(log, app('first'), { clock, id: 'first' })
  for (const partition of [0, 1]) await outside.send([outgoing('in', partition, null, 'slow')])
  await moved(clock, 'both handlers to be at work', () => handled.length === 2)
  const stopped = first.worker.stop()
  const second = testWorker(log, app('second'), { clock, id: 'second' })
  const joined = second.worker.start()
  await moved(clock, 'the second worker to be a member', () => second.worker.stats().group.state === 'member')
  expect(tasksOf(second)).toBe(0)
  waits[0]?.resolve()
  await moved(clock, 'the second worker to have the free task', () => tasksOf(second) === 1)
  await outside.send([outgoing('in', 0, null, 'next')])
  await moved(clock, 'handled there', () => handled.includes('second 0@1'))
  waits[1]?.resolve()
  await moved(clock, 'all', () => tasksOf(second) === 2)
  await Promise.all([stopped, joined])
  await second.worker.stop()
  expect(handled).toEqual([...new Set(handled)])
})
