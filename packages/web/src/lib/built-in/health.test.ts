import { manualClock } from '@millrace/core'
import type { SourceStats, WaitingStats } from '@millrace/worker'
import { expect, test } from 'vitest'
import { smallSite } from '../fixtures/small-site.fixture.ts'
import type { SmallWorker } from '../fixtures/small-worker.fixture.ts'

const GRACE_MS = 15_000
const MEMBER = { state: 'member', forMs: 60_000, heartbeatAgeMs: 500, leaseExpiredMs: 0 } as const

interface Asked {
  readonly status: number
  readonly reasons: readonly string[]
}

async function asked(get: (path: string) => Promise<Response>, path: string): Promise<Asked> {
  const answer = await get(path)
  const body: unknown = await answer.json()
  const reasons = typeof body === 'object' && body !== null && 'reasons' in body ? body.reasons : undefined
  return { status: answer.status, reasons: Array.isArray(reasons) ? reasons : [] }
}

/** Conditions that may last for `web.readyGrace`, with the reason given when they last longer. */
const passing: readonly (readonly [string, (worker: SmallWorker, forMs: number) => void, RegExp])[] = [
  [
    'a rebalance',
    (worker, forMs) => (worker.memberOf = { ...MEMBER, state: 'rebalancing', forMs }),
    /^The group has been rebalancing for 16 s\.$/,
  ],
  [
    'the recovery of tasks after a rebalance',
    (worker, forMs) => {
      worker.status = 'recovering'
      worker.opening = { tasks: 2, forMs, isFirst: false }
    },
    /^2 tasks have been recovering for 16 s\.$/,
  ],
  [
    'a lost membership',
    (worker, forMs) => (worker.memberOf = { ...MEMBER, state: 'out', forMs }),
    /^The group has gone on without this worker, which has not joined again for 16 s\.$/,
  ],
  [
    'an expired lease',
    (worker, leaseExpiredMs) => (worker.memberOf = { ...MEMBER, leaseExpiredMs }),
    /^The lease on its partitions has run out 16 s ago: no heartbeat has succeeded \(sessionTimeout\)\.$/,
  ],
  [
    'an outage of all brokers',
    (worker, forMs) =>
      (worker.brokers = [
        { broker: 'a:9092', isReachable: false, forMs: 60_000 },
        { broker: 'b:9092', isReachable: false, forMs },
      ]),
    /^No broker can be reached for 16 s: a:9092, b:9092\.$/,
  ],
]

test.each(passing)('a worker stays ready during %s, but not beyond the grace', async (_what, happen, reason) => {
  const { worker, get } = smallSite()
  happen(worker, GRACE_MS)
  expect(await asked(get, '/health/ready')).toEqual({ status: 200, reasons: [] })
  happen(worker, GRACE_MS + 1000)
  expect(await asked(get, '/health/ready')).toEqual({ status: 503, reasons: [expect.stringMatching(reason)] })
})

test('one reachable broker is enough, but a worker that has never run is not ready, whatever the reason', async () => {
  const { worker, get } = smallSite()
  worker.brokers = [
    { broker: 'a:9092', isReachable: false, forMs: 60_000 },
    { broker: 'b:9092', isReachable: true, forMs: 60_000 },
  ]
  expect((await asked(get, '/health/ready')).status).toBe(200)
  worker.status = 'recovering'
  worker.opening = { tasks: 2, forMs: 0, isFirst: true }
  expect(await asked(get, '/health/ready')).toEqual({ status: 503, reasons: ['The worker is recovering.'] })
})

const stuck: SourceStats = {
  ...{
    topic: 'posts',
    partition: 2,
    task: '4-2',
    position: 4,
    committed: 3,
    endOffset: 10,
    bufferedBytes: 0,
    skewed: 0,
  },
  ...{ heldAgents: [], stalledMs: 0, lags: {}, lag: 0, paused: undefined },
}
const waitingFor = (reason: string): readonly WaitingStats[] => [
  { topic: 'posts', partition: 2, task: '4-2', agent: 'a', reasons: [reason], why: `${reason}: that is why` },
]

test('liveness fails with the reason once a partition stands still for restartAfter, and never if that is unset', async () => {
  const clock = manualClock()
  const { worker, get } = smallSite({ clock, restartAfterMs: 60_000 })
  const never = smallSite({ clock })
  for (const one of [worker, never.worker]) one.sources = [stuck]
  worker.waitingFor = waitingFor('busy')
  for (const site of [get, never.get]) expect((await asked(site, '/health/live')).status).toBe(200)
  await clock.advance('61s')
  expect(await asked(get, '/health/live')).toEqual({
    status: 503,
    reasons: ['Partition posts/2 has not moved for 60000 ms (restartAfter). busy: that is why.'],
  })
  expect((await asked(never.get, '/health/live')).status).toBe(200)
  worker.sources = [{ ...stuck, position: 5, committed: 5 }]
  expect((await asked(get, '/health/live')).status).toBe(200)
})

test.each(['opening', 'rebalance', 'lease', 'delayed', 'collector'])(
  'a partition that waits for the group or the broker (%s) does not fail liveness',
  async (reason) => {
    const clock = manualClock()
    const { worker, get } = smallSite({ clock, restartAfterMs: 60_000 })
    worker.sources = [stuck]
    worker.waitingFor = waitingFor(reason)
    await asked(get, '/health/live')
    await clock.advance('10m')
    expect((await asked(get, '/health/live')).status).toBe(200)
    // The time starts afresh when the condition ends.
    worker.waitingFor = []
    expect((await asked(get, '/health/live')).status).toBe(200)
    await clock.advance('61s')
    expect((await asked(get, '/health/live')).status).toBe(503)
  },
)

test('liveness does not fail while a broker is unreachable or the lease has expired', async () => {
  const clock = manualClock()
  const { worker, get } = smallSite({ clock, restartAfterMs: 60_000 })
  worker.sources = [stuck]
  for (const cutOff of [
    () => (worker.brokers = [{ broker: 'a:9092', isReachable: false, forMs: 1 }]),
    () => (worker.memberOf = { ...MEMBER, leaseExpiredMs: 1 }),
    () => (worker.memberOf = { ...MEMBER, state: 'out' }),
  ]) {
    worker.brokers = []
    worker.memberOf = MEMBER
    await asked(get, '/health/live')
    cutOff()
    await clock.advance('61s')
    expect((await asked(get, '/health/live')).status).toBe(200)
  }
})
