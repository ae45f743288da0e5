import {
  type AgentHistograms,
  type HandlingTime,
  MillraceError,
  type Topology,
  type WorkerContext,
  type WorkerPart,
} from '@millrace/core'
import type { StreamsDeps } from '../streams-deps.ts'
import type { AnyTopic } from '../topics/topic.ts'
import type { AnyAgent } from './agent.ts'
import type { AgentCounts } from './agent-counters.ts'
import { AgentRunner } from './agent-runner.ts'
import { DEFAULT_ERROR_POLICY, type ErrorPolicy } from './error-policy.ts'
import type { WorkerEnding } from './failure-road.ts'

export interface AgentsPartOptions {
  /** Used where an agent says nothing else. Default: 3 retries, 100 ms to 10 s apart, then a dead letter. */
  readonly errorPolicy?: ErrorPolicy
  /** Instances of agents that say nothing else. Default 1. */
  readonly concurrency?: number
  /** Further topics of the app, to be created when they are missing. */
  readonly topics?: readonly AnyTopic[]
}

export interface AgentsPart extends WorkerPart {
  /** By agent name. */
  counts(): Readonly<Record<string, AgentCounts>>
  /** How long they take over an event; by agent name. */
  handling(): Readonly<Record<string, HandlingTime>>
  /** The same since the worker started; by agent name. */
  histograms(): Readonly<Record<string, AgentHistograms>>
}

/**
 * The agents of an app on one worker.
 *
 * @example
 * createWorker({ …, parts: [agentsPart(deps, [countWords], {})] })
 */
export function agentsPart(
  deps: StreamsDeps,
  agents: readonly AnyAgent[],
  options: AgentsPartOptions = {},
): AgentsPart {
  const { errorPolicy = DEFAULT_ERROR_POLICY, concurrency = 1, topics = [] } = options
  let runners: readonly AgentRunner[] = []
  let worker: WorkerContext | undefined
  return {
    name: 'agents',
    declare(context: WorkerContext, topology: Topology) {
      assertNames(agents)
      worker = context
      for (const topic of topics) topology.topic(topic.declaration)
      const ending: WorkerEnding = { stopped: context.signal.aborted }
      context.signal.addEventListener('abort', () => void (ending.stopped = true), { once: true })
      const shared = { deps, worker: context, topology, defaults: errorPolicy, concurrency, ending }
      runners = agents.map((agent) => new AgentRunner({ ...shared, agent }))
      for (const runner of runners) runner.start()
    },
    async start() {},
    ready() {},
    async stop() {
      if (worker === undefined) return
      await Promise.race([Promise.all(runners.map((runner) => runner.stop())), aborted(worker.signal)])
      await deps.replies.close(worker)
    },
    counts: () => Object.fromEntries(runners.map((runner) => [runner.name, runner.counts()])),
    handling: () => Object.fromEntries(runners.map((runner) => [runner.name, runner.handling()])),
    histograms: () => Object.fromEntries(runners.map((runner) => [runner.name, runner.histograms()])),
  }
}

function assertNames(agents: readonly AnyAgent[]): void {
  const seen = new Set<string>()
  for (const { name } of agents) {
    if (seen.has(name)) throw new MillraceError('NAME_TAKEN', `There are two agents called "${name}".`)
    seen.add(name)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
