import { type CommitOffset, type Deferred, deferred, MillraceError, systemClock } from '@millrace/core'
import type { Consumer, ConsumerOptions, LostPosition, TransactionalProducer, Transport } from '@millrace/core/driver'
import type { HandedOutEvent } from '../contracts/event.ts'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { describe, expect, test } from 'vitest'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import {
  Outside,
  runWorker,
  type TestAgent,
  type TestApp,
  testWorker,
  type TestWorker,
  until,
} from '../fixtures/test-worker.fixture.ts'

const clock = systemClock()

/** Holds commits of some topics, and a rebalance that this worker asks for, until a test lets them go. */
class HeldTransport extends LeasedTransport {
  /** The topics whose commits are held. */
  held: readonly string[] = []
  /** How many commits wait. */
  waiting = 0
  /** The result of commits that are let go. */
  outcome: Error | undefined
  readonly open: Deferred<void> = deferred<void>()
  readonly mayRejoin: Deferred<void> = deferred<void>()
  outOfRange: (lost: LostPosition) => void = () => {}
  lose: () => Promise<void> = async () => {}

  constructor(inner: Transport) {
    super(inner, () => clock.monotonic())
  }

  override consumer(options: ConsumerOptions): Consumer {
    this.outOfRange = (lost) => options.onOutOfRange?.(lost)
    this.lose = () => options.listener.onLost()
    const inner = super.consumer(options)
    return {
      ...inner,
      commit: async (offsets) => {
        await this.#hold(offsets)
        await inner.commit(offsets)
      },
      rejoin: () => void this.mayRejoin.promise.then(() => inner.rejoin()),
    }
  }

  override transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    const inner = super.transactionalProducer(options)
    return {
      init: () => inner.init(),
      partitions: (topic) => inner.partitions(topic),
      brokerOf: (partition) => inner.brokerOf(partition),
      send: (records, sending) => inner.send(records, sending),
      begin: () => inner.begin(),
      sendOffsets: async (groupId, offsets) => {
        await this.#hold(offsets)
        await inner.sendOffsets(groupId, offsets)
      },
      commit: () => inner.commit(),
      abort: () => inner.abort(),
      close: () => inner.close(),
    }
  }

  async #hold(offsets: readonly CommitOffset[]): Promise<void> {
    if (!offsets.some(({ topic }) => this.held.includes(topic))) return
    this.waiting++
    await this.open.promise
    if (this.outcome !== undefined) throw this.outcome
  }
}

interface HeldWorker extends TestWorker {
  readonly held: HeldTransport
}

function heldWorker(log: MemoryLog, app: TestApp, store?: HeapStore): HeldWorker {
  let held: HeldTransport | undefined
  const made = testWorker(log, app, {
    wrap: (inner) => (held = new HeldTransport(inner)),
    ...(store === undefined ? {} : { store }),
  })
  if (held === undefined) throw new Error('The transport was not wrapped.')
  return { ...made, held }
}

/** Handles nothing before `go`, and records what it has finished. */
class SlowAgent {
  readonly go: Deferred<void> = deferred<void>()
  readonly handled = new Set<number>()
  begun = 0

  readonly handler = async (event: HandedOutEvent): Promise<void> => {
    this.begun++
    await this.go.promise
    if (event.open) this.handled.add(event.offset)
  }

  get offsets(): readonly number[] {
    return [...this.handled].toSorted((a, b) => a - b)
  }
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i)

describe.each([false, true])('a reopened task, exactly once: %s', (exactlyOnce) => {
  test('is fetched again although it was paused for lack of commits', async () => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    let handled = 0
    const { worker, held } = heldWorker(log, {
      agents: [{ name: 'a', topics: ['in'], handler: () => void handled++ }],
      settings: { exactlyOnce, maxUncommitted: 100, onOffsetLost: 'earliest' },
    })
    await worker.start()
    held.held = ['in']
    await outside.numbers('in', { count: 1000, partitions: 1 })
    await until('the pause', () => worker.stats().sources[0]?.paused === 'uncommitted' && held.waiting > 0)
    held.held = []
    // Each guarantee gets its own cause: a truncated log, or a transaction that has timed out meanwhile.
    if (exactlyOnce) held.outcome = new MillraceError('PRODUCER_FENCED', 'The transaction has timed out.')
    else {
      const before = handled
      held.outOfRange({ topic: 'in', partition: 0, position: 1000, beginning: 0, end: 100 })
      await until('the event to be handled again', () => handled > before)
    }
    held.open.resolve()
    await until('all committed', () => log.committed('app')[0]?.offset === 1000)
    expect(handled).toBeGreaterThan(1000)
    await worker.stop()
  })

  test('skips nothing that the driver had fetched of a kept partition', async () => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    for (const name of ['in', 'also']) await outside.topic(name, 1)
    await outside.topic('marker', 2)
    await outside.numbers('in', { count: 10, partitions: 1 })
    await outside.numbers('also', { count: 10, partitions: 1 })
    const slow = new SlowAgent()
    let markers = 0
    const { worker, held } = heldWorker(log, {
      agents: [
        { name: 'a', topics: ['in'], handler: () => {} },
        { name: 'b', topics: ['also'], handler: slow.handler },
        { name: 'm', topics: ['marker'], handler: () => void markers++ },
      ],
      purged: ['in'],
      settings: { exactlyOnce, onOffsetLost: 'earliest' },
    })
    await worker.start()
    held.held = ['in']
    await until('a commit that waits', () => held.waiting === 1 && slow.begun === 1)
    // The records are deleted before they were committed: an opening finds that, and commits the hole first of all.
    log.deleteRecords('in', 0, 5)
    held.outOfRange({ topic: 'in', partition: 0, position: 4, beginning: 5, end: 10 })
    await until('the first commit', () =>
      worker.assignment().tasks.some(({ id, state }) => id === '1-0' && state === 'running'),
    )
    await outside.numbers('also', { first: 10, count: 10, partitions: 1 })
    await outside.numbers('marker', { count: 2, partitions: 2 })
    // Fetched in turn with the others, so the driver has given out everything else by then.
    await until('the markers', () => markers === 2)
    held.open.resolve()
    slow.go.resolve()
    await until('all committed', () => offsetOf(log, 'also') === 20)
    expect(slow.offsets).toEqual(upTo(20))
    await worker.stop()
  })

  test('as the next version of a static member, with one more topic, skips nothing either', async () => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    for (const name of ['in', 'more']) await outside.topic(name, 1)
    await outside.topic('marker', 2)
    const store = new HeapStore('one')
    const settings = { exactlyOnce, drainTimeoutMs: 20 }
    let markers = 0
    const marker: TestAgent = { name: 'm', topics: ['marker'], handler: () => void markers++ }
    const first = await runWorker(
      log,
      { agents: [{ name: 'a', topics: ['in'], handler: () => {} }, marker], settings },
      { store },
    )
    first.kill()
    await store.close()
    await outside.numbers('in', { count: 10, partitions: 1 })

    const slow = new SlowAgent()
    const { worker, held } = heldWorker(
      log,
      { agents: [{ name: 'a', topics: ['in', 'more'], handler: slow.handler }, marker], settings },
      store,
    )
    held.held = ['more']
    const started = worker.start()
    await until('the membership of the previous process', () => slow.begun === 1)
    held.mayRejoin.resolve()
    await until('the first commit of the new topic', () => held.waiting === 1)
    await outside.numbers('in', { first: 10, count: 10, partitions: 1 })
    await outside.numbers('marker', { count: 2, partitions: 2 })
    await until('the markers', () => markers === 2)
    held.open.resolve()
    slow.go.resolve()
    await started
    await until('all committed', () => offsetOf(log, 'in') === 20)
    expect(slow.offsets).toEqual(upTo(20))
    await worker.stop()
  })
})

test('lost records of a task that has moved away end no worker, even with onOffsetLost stop', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const { worker, held } = heldWorker(log, {
    agents: [{ name: 'a', topics: ['in'], handler: () => {} }],
    settings: { onOffsetLost: 'stop' },
  })
  await worker.start()
  await outside.numbers('in', { count: 10, partitions: 1 })
  await until('all committed', () => offsetOf(log, 'in') === 10)
  await held.lose()
  // The next owner has continued, and the records behind it were deleted.
  held.outOfRange({ topic: 'in', partition: 0, position: 10, beginning: 20, end: 30 })
  expect(worker.status).toBe('running')
  await worker.stop()
})

function offsetOf(log: MemoryLog, of: string): number | undefined {
  return log.committed('app').find(({ topic }) => topic === of)?.offset
}
