import { deferred, systemClock } from '@millrace/core'
import type { Consumer, ConsumerOptions, Transport } from '@millrace/core/driver'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { Outside, outgoing, testWorker, until } from '../fixtures/test-worker.fixture.ts'

const clock = systemClock()

/** Gives a worker a transport whose heartbeats a test can stop. */
function leasedInto(transports: LeasedTransport[]): (inner: Transport) => LeasedTransport {
  return (inner) => {
    const leased = new LeasedTransport(inner, () => clock.monotonic())
    transports.push(leased)
    return leased
  }
}

test.each([false, true])(
  'without heartbeats nothing is handed out, sent, committed or shown; with the next one everything continues (exactly once: %s)',
  async (exactlyOnce) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    await outside.numbers('in', { count: 10, partitions: 1, keys: 1 })
    const counts = countTable('counts')
    const transports: LeasedTransport[] = []
    const hanging = deferred<void>()
    const { worker } = testWorker(
      log,
      {
        agents: [
          {
            name: 'a',
            topics: ['in'],
            handler: async (event) => {
              addTo(counts, event, 'all')
              event.send(outgoing('out', 0, 'k', String(event.record.value)))
              if (event.offset === 5) await hanging.promise
            },
          },
        ],
        tables: [counts],
        topics: { out: 1 },
        settings: { sessionTimeoutMs: 150, exactlyOnce },
      },
      {
        wrap: leasedInto(transports),
      },
    )
    await worker.start()
    await until('five committed', () => log.committed('app')[0]?.offset === 5)
    transports[0]?.stopHeartbeats()
    await clock.sleep(200)
    hanging.resolve()
    await until('the event to be finished', () => worker.stats().agents['a']?.processed === 6)
    await clock.sleep(60)
    const { state, heartbeatAgeMs = 0, leaseExpiredMs } = worker.stats().group
    expect([state, heartbeatAgeMs > 150, leaseExpiredMs > 0]).toEqual(['member', true, true])
    expect(worker.stats().agents['a']).toMatchObject({ processed: 6, active: 0 })
    expect(log.committed('app')[0]?.offset).toBe(5)
    expect(log.records('out').length).toBe(5)
    expect(worker.context.openState(counts, 0)).toBeUndefined()
    transports[0]?.goOn()
    await until('all committed', () => log.committed('app')[0]?.offset === 10)
    expect(countsOf(worker.context.openStates(counts)).get('all')).toBe(10)
    await worker.stop()
    expect(log.records('out').map(({ value }) => Number(value))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  },
)

test.each([false, true])(
  'without sends and rows the commit itself waits for the lease (exactly once: %s)',
  async (exactlyOnce) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    await outside.numbers('in', { count: 10, partitions: 1, keys: 1 })
    const transports: LeasedTransport[] = []
    const hanging = deferred<void>()
    const { worker } = testWorker(
      log,
      {
        agents: [{ name: 'a', topics: ['in'], handler: (event) => (event.offset === 5 ? hanging.promise : undefined) }],
        settings: { sessionTimeoutMs: 150, exactlyOnce },
      },
      {
        wrap: leasedInto(transports),
      },
    )
    await worker.start()
    await until('five committed', () => log.committed('app')[0]?.offset === 5)
    transports[0]?.stopHeartbeats()
    await clock.sleep(200)
    hanging.resolve()
    await until('the event to be finished', () => worker.stats().agents['a']?.processed === 6)
    await clock.sleep(100)
    expect(log.committed('app')[0]?.offset).toBe(5)
    transports[0]?.goOn()
    await until('all committed', () => log.committed('app')[0]?.offset === 10)
    await worker.stop()
  },
)

test.each([false, true])(
  'the last event of a topic is committed when the lease is back (exactly once: %s)',
  async (exactlyOnce) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    await outside.numbers('in', { count: 1, partitions: 1, keys: 1 })
    const transports: LeasedTransport[] = []
    const hanging = deferred<void>()
    const { worker } = testWorker(
      log,
      {
        agents: [{ name: 'a', topics: ['in'], handler: () => hanging.promise }],
        settings: { sessionTimeoutMs: 150, exactlyOnce },
      },
      {
        wrap: leasedInto(transports),
      },
    )
    await worker.start()
    await until('the event to be in flight', () => worker.stats().agents['a']?.active === 1)
    transports[0]?.stopHeartbeats()
    await clock.sleep(200)
    hanging.resolve()
    await until('the event to be finished', () => worker.stats().agents['a']?.processed === 1)
    await clock.sleep(100)
    expect(log.committed('app')[0]?.offset ?? 0).toBe(0)
    transports[0]?.goOn()
    await until('committed', () => log.committed('app')[0]?.offset === 1)
    await worker.stop()
  },
)

test('the first event waits for no heartbeat, because joining gives the lease', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 1, partitions: 1 })
  const startMs = clock.monotonic()
  const { worker } = testWorker(
    log,
    {
      agents: [{ name: 'a', topics: ['in'], handler: () => {} }],
      settings: { sessionTimeoutMs: 60_000, heartbeatIntervalMs: 20_000 },
    },
    { wrap: (inner) => new LeasedTransport(inner, () => clock.monotonic()) },
  )
  const started = worker.start()
  // Like an agent that is at work before the worker has joined.
  await new Promise((resolve) => setImmediate(resolve))
  await started
  await until('the event', () => worker.stats().agents['a']?.processed === 1, 5000)
  expect(clock.monotonic() - startMs).toBeLessThan(5000)
  await worker.stop()
})

/** A member that is removed from its group, and whose next join takes until `release`. */
class SlowToJoin extends LeasedTransport {
  release: () => void = () => {}
  readonly #released = new Promise<void>((resolve) => (this.release = resolve))

  override consumer(options: ConsumerOptions): Consumer {
    const { listener } = options
    const onLost = async (): Promise<void> => {
      await listener.onLost()
      await this.#released
    }
    return super.consumer({
      ...options,
      listener: { onRevoke: () => listener.onRevoke(), onAssign: (change) => listener.onAssign(change), onLost },
    })
  }
}

test('a worker that is removed from the group sends nothing until it has rejoined, even right after a heartbeat', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  const transports: SlowToJoin[] = []
  const { worker, transport } = testWorker(
    log,
    {
      agents: [{ name: 'a', topics: ['in'], handler: () => {} }],
      topics: { out: 1 },
      settings: { sessionTimeoutMs: 60_000 },
    },
    {
      wrap: (inner) => {
        const slow = new SlowToJoin(inner, () => clock.monotonic())
        transports.push(slow)
        return slow
      },
    },
  )
  await worker.start()
  let thrownOut = false
  worker.on('rebalanceComplete', ({ lost }) => (thrownOut ||= lost.length > 0))
  // From here on heartbeats fail; the last one was just now.
  transports[0]?.stopHeartbeats()
  transport.expire()
  await until('thrown out', () => thrownOut)
  let sent = false
  const sending = worker.context.send(outgoing('out', 0, 'k', 'v')).then(() => (sent = true))
  // The request reaches the guard, and waits there.
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect([sent, log.records('out').length]).toEqual([false, 0])
  expect(worker.stats().group).toMatchObject({ state: 'out', leaseExpiredMs: 0 })
  transports[0]?.release()
  await sending
  expect(worker.stats().group).toMatchObject({ state: 'member', leaseExpiredMs: 0 })
  expect(log.records('out').length).toBe(1)
  await worker.stop()
})

test('a worker that reads nothing joins no group, and sends without a lease', async () => {
  const log = createMemoryLog()
  const transports: LeasedTransport[] = []
  const { worker } = testWorker(
    log,
    { agents: [], topics: { out: 1 }, settings: { sessionTimeoutMs: 150 } },
    { wrap: leasedInto(transports) },
  )
  transports[0]?.hasNoHeartbeat()
  await worker.start()
  await worker.context.send(outgoing('out', 0, 'k', 'v'))
  expect(worker.stats().group).toMatchObject({ state: 'none', leaseExpiredMs: 0 })
  expect(log.records('out')).toHaveLength(1)
  await worker.stop()
})
