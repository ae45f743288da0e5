import type { AgentCounts, AgentsPart, HandlingTime } from '@millrace/streams'
import type { AgentStats, WorkerStats } from '@millrace/worker'

/** Figures of a worker, with what only its agents know. */
export interface AppStats extends WorkerStats {
  readonly agents: Readonly<
    Record<string, AgentStats & Pick<AgentCounts, 'deadLettered'> & { readonly handling?: HandlingTime }>
  >
}

/**
 * Adds what the agents themselves know: how long they take, what they have given up and kept as dead letters (to the worker
 * these are events like others), and agents of channels, of which the worker knows nothing.
 */
export function withAgents(stats: WorkerStats, part: Pick<AgentsPart, 'counts' | 'handling'>): AppStats {
  const handling = part.handling()
  const agents = Object.entries(part.counts()).map(([name, counts]) => {
    const { received, processed, failed, retried, active, deadLettered } = counts
    const figures = stats.agents[name] ?? { received, processed, failed, retried, active, lag: 0 }
    const time = handling[name]
    return [name, { ...figures, deadLettered, ...(time === undefined ? {} : { handling: time }) }] as const
  })
  return { ...stats, agents: Object.fromEntries(agents) }
}
