import type { DueSource, Topology, WorkerContext } from '@millrace/worker'
import type { AgentContext } from '../events/agent-context.ts'
import type { EventSource } from '../events/source.ts'

/** What an agent may read, beside topics of type `T`: it says itself what there is to open. */
export interface PlannedSource<T> {
  readonly name: string
  /** What it reads that is due in a state. */
  readonly due?: DueSource<unknown, unknown>
  /** Called once for each agent, or step of one, that reads it. */
  planFor(plan: SourcePlan<T>): void
}

/** Gathers what the sources of an agent need: its topics share one subscription, whatever else opens by itself. */
export interface SourcePlan<T> {
  topic(topic: T): void
  /** `id` is unique among what one agent reads. */
  other(id: string, source: OtherSource): void
}

/** What is no topic: a channel, or what a state has due. */
export interface OtherSource {
  /** Called when a worker starts: a source for each instance of the agent. */
  open(context: AgentContext, options: OpenSourceOptions): readonly EventSource[]
  /** Called when the worker stops: takes nothing more, and hands out what it has. */
  close(worker: WorkerContext): void
}

export interface OpenSourceOptions {
  readonly topology: Topology
  readonly instances: number
  readonly ordering: 'key' | 'none'
}
