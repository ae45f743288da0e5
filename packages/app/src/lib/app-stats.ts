import type { AgentStats, WorkerStats } from '@millrace/core'
import type { AgentsPart } from '@millrace/streams'

/** What `app.stats()` gives: the worker, with what only its agents know. */
export interface AppStats extends WorkerStats {
  readonly agents: Readonly<Record<string, AgentStats & { readonly deadLettered: number }>>
}

/**
 * Adds what the agents themselves know: how long they take, what they have given up and kept as dead letters (to the worker
 * these are events like others), and agents of channels, of which the worker knows nothing.
 */
export function withAgents(stats: WorkerStats, part: Pick<AgentsPart, 'counts' | 'handling'>): AppStats {
  const handling = part.handling()
  const agents = Object.entries(part.counts()).map(([name, counts]) => {
    const { received, processed, failed, retried, active, deadLettered } = counts
    const own = stats.agents[name] ?? { received, processed, failed, retried, active, lag: 0 }
    const time = handling[name]
    return [name, { ...own, deadLettered, ...(time === undefined ? {} : { handling: time }) }] as const
  })
  return { ...stats, agents: Object.fromEntries(agents) }
}
