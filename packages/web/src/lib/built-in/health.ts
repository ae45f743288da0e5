import { type DelayStats, partitionKey } from '@millrace/core'
import type { BuiltInTools, BuiltInPages } from './site-tools.ts'

/** Whether a worker can be sent work, and if not, why. */
export interface Readiness {
  readonly ready: boolean
  readonly status: string
  /** In words; empty when ready. */
  readonly reasons: readonly string[]
}

export function healthPages(deps: BuiltInTools): BuiltInPages {
  return {
    '/health/live': {
      open: true,
      always: true,
      everywhere: true,
      help: '200 from the moment the server listens.',
      page: (c) => c.json({ live: true }),
    },
    '/health/ready': {
      open: true,
      always: true,
      everywhere: true,
      help: '200 when the worker runs, has recovered and no partition has stood still for `stallAfter`; else 503 with the reasons.',
      page: (c) => {
        const answer = readiness(deps)
        return answer.ready ? c.json(answer) : c.json(answer, { status: 503, headers: { 'retry-after': '1' } })
      },
    },
  }
}

/** Ready: the worker has joined and recovered, no partition stands still, and all take records within `deliveryTimeout`. */
export function readiness({ workers, stalls, site }: Pick<BuiltInTools, 'workers' | 'stalls' | 'site'>): Readiness {
  const worker = workers.askedIfAny()
  if (worker === undefined) return { ready: false, status: 'stopped', reasons: ['No worker runs in this process.'] }
  const { status, sources, delays } = worker.stats()
  const { stallAfterMs } = site.surroundings.settings
  const stalled = stalls.check(sources, { nowMs: site.surroundings.clock.monotonic(), afterMs: stallAfterMs })
  const reasons = [
    ...(status === 'running' ? [] : [`The worker is ${status}.`]),
    ...stalled.map(
      (partition) => `Partition ${partitionKey(partition)} has not moved for ${stallAfterMs} ms (stallAfter).`,
    ),
    ...delays.filter(({ overdue }) => overdue).map(describeDelay),
  ]
  return { ready: reasons.length === 0, status, reasons }
}

function describeDelay({ topic, partition, forMs, tasks, reason }: DelayStats): string {
  const waiting = tasks.length === 0 ? '' : `; waiting for it: ${tasks.join(', ')}`
  return `Partition ${topic}/${partition} has taken no records for ${Math.round(forMs)} ms (deliveryTimeout)${waiting}. ${reason}`
}
