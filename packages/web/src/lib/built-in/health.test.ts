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

/** What may last as long as `web.readyGrace`, with the reason that is given when it lasts longer. */
const passing: readonly (readonly [string, (worker: SmallWorker, forMs: number) => void, RegExp])[] = [
  [
    'a rebalance',
    (worker, forMs) => (worker.memberOf = { ...MEMBER, state: 'rebalancing', forMs }),
    /^The group has been rebalancing for 16 s\.$/,
  ],
  [
    'the recovery of tasks that it has brought',
    (worker, forMs) => {
      worker.status = 'recovering'
      worker.opening = { tasks: 2, forMs, isFirst: false }
    },
    /^2 tasks have been recovering for 16 s\.$/,
  ],
  [
    'a membership that is lost',
    (worker, forMs) => (worker.memberOf = { ...MEMBER, state: 'out', forMs }),
    /^The group has gone on without this worker, which has not joined again for 16 s\.$/,
  ],
  [
    'a lease that has run out',
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

test.each(passing)('a worker stays ready through %s, and is not when it lasts', async (_what, happen, reason) => {
  const { worker, get } = smallSite()
  happen(worker, GRACE_MS)
  expect(await asked(get, '/health/ready')).toEqual({ status: 200, reasons: [] })
  happen(worker, GRACE_MS + 1000)
  expect(await asked(get, '/health/ready')).toEqual({ status: 503, reasons: [expect.stringMatching(reason)] })
})

test('with one broker that answers it is ready, and one that has never run is not, for whatever reason', async () => {
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
  ...{ topic: 'posts', partition: 2, task: '4-2', position: 4, committed: 3, endOffset: 10, bufferedBytes: 0 },
  ...{ stalledMs: 0, lags: {}, lag: 0, paused: undefined },
}
const waitingFor = (reason: string): readonly WaitingStats[] => [
  { topic: 'posts', partition: 2, task: '4-2', agent: 'a', reasons: [reason], why: `${reason}: that is why` },
]

test('liveness fails for a partition that stands still for restartAfter, and says why; unset, it never does', async () => {
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
  'a partition that waits for the group or the broker (%s) does not end a worker',
  async (reason) => {
    const clock = manualClock()
    const { worker, get } = smallSite({ clock, restartAfterMs: 60_000 })
    worker.sources = [stuck]
    worker.waitingFor = waitingFor(reason)
    await asked(get, '/health/live')
    await clock.advance('10m')
    expect((await asked(get, '/health/live')).status).toBe(200)
    // From when it is over the time is counted anew.
    worker.waitingFor = []
    expect((await asked(get, '/health/live')).status).toBe(200)
    await clock.advance('61s')
    expect((await asked(get, '/health/live')).status).toBe(503)
  },
)

test('while a broker cannot be reached, or the group has no lease for it, no worker is ended', async () => {
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
