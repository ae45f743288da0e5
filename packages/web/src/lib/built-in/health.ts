import { partitionKey } from '@millrace/core'
import type { DelayStats, PausedStats, WorkerStats } from '@millrace/worker'
import type { BuiltInTools, BuiltInPages } from './site-tools.ts'

/** Whether a worker can take work, and if not, why. */
export interface Readiness {
  readonly ready: boolean
  readonly status: string
  /** Reasons in words; empty when ready. */
  readonly reasons: readonly string[]
  /** Agents that are paused, which does not make a worker unready; left out if none is. */
  readonly paused?: Readonly<Record<string, PausedStats>>
}

/** Reasons for waiting that a restart would not remove. */
const NOT_ITS_FAULT: readonly string[] = ['opening', 'rebalance', 'stop', 'lease', 'delayed', 'collector', 'closed']

/** Of several processes, the site is ready or live if each of them is. */
export function healthPages(deps: BuiltInTools): BuiltInPages {
  const { processes } = deps
  const allReady = processes.question('ready', () => readiness(deps))
  const allLive = processes.question('live', () => standstills(deps))
  return {
    '/health/live': {
      open: true,
      always: true,
      everywhere: true,
      help: '200 from the moment the server listens. With `restartAfter`, 503 with the reasons when a partition has not moved for that long although it could have.',
      page: async (c) => {
        // A process that does not answer may have ended: then the others have no fault that a restart would mend.
        const { own, others } = await allLive()
        const reasons = [...own, ...inProcesses(others)]
        return c.json({ live: reasons.length === 0, reasons }, { status: reasons.length === 0 ? 200 : 503 })
      },
    },
    '/health/ready': {
      open: true,
      always: true,
      everywhere: true,
      help: '200 when the worker runs, has recovered, is in contact with its group, reaches a broker (each with a grace of `web.readyGrace`), and no partition has stood still for `stallAfter`; else 503 with the reasons.',
      page: async (c) => {
        const { own, others, missing } = await allReady()
        const reasons = [
          ...own.reasons,
          ...inProcesses(new Map([...others].map(([process, { reasons: why }]) => [process, why]))),
          ...missing.map((process) => `Process ${process} does not answer.`),
        ]
        const answer = { ...own, ready: reasons.length === 0, reasons }
        return answer.ready ? c.json(answer) : c.json(answer, { status: 503, headers: { 'retry-after': '1' } })
      },
    },
  }
}

function inProcesses(reasons: ReadonlyMap<number, readonly string[]>): readonly string[] {
  return [...reasons].flatMap(([process, why]) => why.map((reason) => `Process ${process}: ${reason}`))
}

/**
 * Ready: the worker has joined and recovered, is in contact with its group, and every partition moves and takes
 * records.
 */
export function readiness({ workers, stalls, site }: Pick<BuiltInTools, 'workers' | 'stalls' | 'site'>): Readiness {
  const worker = workers.askedIfAny()
  if (worker === undefined) return { ready: false, status: 'stopped', reasons: ['No worker runs in this process.'] }
  const stats = worker.stats()
  const { status, sources, delays } = stats
  const { settings, clock } = site.surroundings
  const { stallAfterMs } = settings
  const stalled = stalls.check(sources, { nowMs: clock.monotonic(), afterMs: stallAfterMs })
  const reasons = [
    ...statusReasons(stats, settings.web.readyGraceMs),
    ...groupReasons(stats, settings.web.readyGraceMs),
    ...stalled.map(
      (partition) => `Partition ${partitionKey(partition)} has not moved for ${stallAfterMs} ms (stallAfter).`,
    ),
    ...delays.filter(({ overdue }) => overdue).map(describeDelay),
  ]
  const paused = pausedAgents(stats)
  return { ready: reasons.length === 0, status, reasons, ...(paused === undefined ? {} : { paused }) }
}

function pausedAgents({ agents }: WorkerStats): Readonly<Record<string, PausedStats>> | undefined {
  const paused = Object.entries(agents).flatMap(([name, agent]) =>
    agent.paused === undefined ? [] : [[name, agent.paused] as const],
  )
  return paused.length === 0 ? undefined : Object.fromEntries(paused)
}

/** A running worker keeps processing its other tasks while it opens those that a rebalance assigned. */
function statusReasons({ status, opening }: WorkerStats, graceMs: number): readonly string[] {
  if (status === 'running') return []
  if (status !== 'recovering' || opening.isFirst) return [`The worker is ${status}.`]
  if (opening.forMs <= graceMs) return []
  return [`${opening.tasks} tasks have been recovering for ${inSeconds(opening.forMs)}.`]
}

function groupReasons({ group, brokers, opening }: WorkerStats, graceMs: number): readonly string[] {
  if (opening.isFirst) return []
  const { state, forMs, leaseExpiredMs } = group
  const reasons: string[] = []
  if (state === 'rebalancing' && forMs > graceMs)
    reasons.push(`The group has been rebalancing for ${inSeconds(forMs)}.`)
  if (state === 'out' && forMs > graceMs)
    reasons.push(`The group has gone on without this worker, which has not joined again for ${inSeconds(forMs)}.`)
  if (leaseExpiredMs > graceMs)
    reasons.push(
      `The lease on its partitions has run out ${inSeconds(leaseExpiredMs)} ago: no heartbeat has succeeded (sessionTimeout).`,
    )
  const unreachableMs = Math.min(...brokers.map(({ isReachable, forMs: sinceMs }) => (isReachable ? 0 : sinceMs)))
  if (brokers.length > 0 && unreachableMs > graceMs)
    reasons.push(
      `No broker can be reached for ${inSeconds(unreachableMs)}: ${brokers.map(({ broker }) => broker).join(', ')}.`,
    )
  return reasons
}

/** Partitions that a restart may help, in words. */
function standstills({ workers, standstills: watch, site }: BuiltInTools): readonly string[] {
  const { restartAfterMs } = site.surroundings.settings
  const stats = workers.askedIfAny()?.stats()
  if (restartAfterMs === undefined || stats === undefined) return []
  const { group, brokers, sources, waitingFor } = stats
  const isCutOff = group.state !== 'member' || group.leaseExpiredMs > 0 || brokers.some((one) => !one.isReachable)
  const excused = new Set(
    waitingFor.filter(({ reasons }) => reasons.some((reason) => NOT_ITS_FAULT.includes(reason))).map(partitionKey),
  )
  // Forget partitions that are not listed, so that they start afresh.
  const watched = isCutOff ? [] : sources.filter((source) => !excused.has(partitionKey(source)))
  const nowMs = site.surroundings.clock.monotonic()
  return watch.check(watched, { nowMs, afterMs: restartAfterMs }).map((partition) => {
    const why = waitingFor.find((one) => partitionKey(one) === partitionKey(partition))?.why
    const because = why === undefined ? '' : ` ${why}.`
    return `Partition ${partitionKey(partition)} has not moved for ${restartAfterMs} ms (restartAfter).${because}`
  })
}

function describeDelay({ topic, partition, forMs, tasks, reason }: DelayStats): string {
  const waiting = tasks.length === 0 ? '' : `; waiting for it: ${tasks.join(', ')}`
  return `Partition ${topic}/${partition} has accepted no records for ${Math.round(forMs)} ms (deliveryTimeout)${waiting}. ${reason}`
}

function inSeconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}
