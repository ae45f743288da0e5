import { partitionKey } from '@millrace/core'
import type { BuiltInDeps, BuiltInPages } from './built-in-deps.ts'

/** Whether a worker can be sent work, and if not, why. */
export interface Readiness {
  readonly ready: boolean
  readonly status: string
  /** In words; empty when ready. */
  readonly reasons: readonly string[]
}

export function healthPages(deps: BuiltInDeps): BuiltInPages {
  return {
    '/health/live': (c) => c.json({ live: true }),
    '/health/ready': (c) => {
      const answer = readiness(deps)
      return answer.ready ? c.json(answer) : c.json(answer, { status: 503, headers: { 'retry-after': '1' } })
    },
  }
}

/** Ready is: joined, recovered, and no partition stalled. */
export function readiness({ workerIfAny, stalls, site }: BuiltInDeps): Readiness {
  const worker = workerIfAny()
  if (worker === undefined) return { ready: false, status: 'stopped', reasons: ['No worker runs in this process.'] }
  const { status, sources } = worker.stats()
  const stalled = stalls.look(sources, { nowMs: site.clock.monotonic(), afterMs: site.stallAfterMs })
  const reasons = [
    ...(status === 'running' ? [] : [`The worker is ${status}.`]),
    ...stalled.map(
      (partition) => `Partition ${partitionKey(partition)} has not moved for ${site.stallAfterMs} ms (stallAfter).`,
    ),
  ]
  return { ready: reasons.length === 0, status, reasons }
}
