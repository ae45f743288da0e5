import type { AgentCounts } from '@millrace/streams'
import type { AgentStats, WorkerStats } from '@millrace/worker'

/** Figures of a worker, with what only its agents know. */
export interface AppStats extends WorkerStats {
  readonly agents: Readonly<Record<string, AgentStats & Pick<AgentCounts, 'deadLettered'>>>
}

/** Adds what agents have given up and kept as dead letters: to the worker these are events like others. */
export function withDeadLetters(stats: WorkerStats, counts: Readonly<Record<string, AgentCounts>>): AppStats {
  const agents = Object.entries(stats.agents).map(
    ([name, figures]) => [name, { ...figures, deadLettered: counts[name]?.deadLettered ?? 0 }] as const,
  )
  return { ...stats, agents: Object.fromEntries(agents) }
}
