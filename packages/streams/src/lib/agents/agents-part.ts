import { MillraceError, repliesTopic, whenAborted } from '@millrace/core'
import type {
  AgentHistograms,
  HandlingTime,
  PausedStats,
  TopicDeclaration,
  Topology,
  WaitingEvents,
  WorkerContext,
  WorkerPart,
} from '@millrace/worker'
import { deadLetterDeclaration } from '../dead-letters/send-dead-letters.ts'
import { ErrorHandling, type WorkerEnding } from '../errors/error-handling.ts'
import { canDeadLetter, DEFAULT_ERROR_POLICY, type ErrorPolicy } from '../errors/error-policy.ts'
import { AgentHold, type AgentPause } from '../events/agent-hold.ts'
import { HandlingTimes } from '../events/handling-times.ts'
import { type AgentCounts, AgentCounters, type AgentContext } from '../events/agent-context.ts'
import { RateLimit } from '../events/rate-limit.ts'
import { AgentSources } from '../streams/agent-sources.ts'
import type { StreamsContext } from '../streams-context.ts'
import { type AnyTopic, Topic } from '../topics/topic.ts'
import type { AnyAgent } from './agent.ts'
import { AgentInstance } from './agent-instance.ts'

export interface AgentsPartOptions {
  /** Policy of agents without `onError`. Default: 3 retries, 100 ms to 10 s apart, then a dead letter. */
  readonly errorPolicy?: ErrorPolicy
  /** Instances of agents without `concurrency`. Default 1. */
  readonly concurrency?: number
  /** Other topics of the app to create if they are missing. */
  readonly topics?: readonly AnyTopic[]
}

export interface AgentsPart extends WorkerPart {
  readonly names: readonly string[]
  /** The agent is paused on all workers, or no longer. Kept by the scheduler's part, which calls it. */
  setPause(agent: string, pause: AgentPause | undefined): void
  /** The agents that are paused. */
  pauses(): Readonly<Record<string, PausedStats>>
  /** By agent name. */
  counts(): Readonly<Record<string, AgentCounts>>
  /** Handling times of recent events, by agent name. */
  handling(): Readonly<Record<string, HandlingTime>>
  /** What waits outside of its partitions, by the name of each agent with `retry`. */
  waiting(): Readonly<Record<string, WaitingEvents>>
  /** Handling times since the worker started, by agent name. */
  histograms(): Readonly<Record<string, AgentHistograms>>
}

/**
 * The agents of an app on one worker.
 *
 * @example
 * createWorker({ …, parts: [agentsPart(context, [countWords], {})] })
 */
export function agentsPart(
  context: StreamsContext,
  agents: readonly AnyAgent[],
  options: AgentsPartOptions = {},
): AgentsPart {
  return new Agents(context, agents, options)
}

class Agents implements AgentsPart {
  readonly name: string = 'agents'
  readonly #app: StreamsContext
  readonly #agents: readonly AnyAgent[]
  readonly #options: AgentsPartOptions
  #worker: WorkerContext | undefined
  #running: readonly RunningAgent[] = []
  #isReady = false

  constructor(app: StreamsContext, agents: readonly AnyAgent[], options: AgentsPartOptions) {
    this.#app = app
    this.#agents = agents
    this.#options = options
  }

  declare(worker: WorkerContext, topology: Topology): void {
    this.#assertNames()
    this.#worker = worker
    const { errorPolicy: defaults = DEFAULT_ERROR_POLICY, concurrency = 1, topics = [] } = this.#options
    for (const topic of topics) topology.topic(topic.declaration)
    const ending: WorkerEnding = { stopped: worker.signal.aborted }
    worker.signal.addEventListener('abort', () => void (ending.stopped = true), { once: true })
    const shared = { app: this.#app, worker, topology, defaults, concurrency, ending }
    this.#running = this.#agents.map((agent) => new RunningAgent({ ...shared, agent }))
    for (const agent of this.#running) agent.start(topology)
  }

  async start(): Promise<void> {}

  ready(): void {
    this.#isReady = true
    for (const { context } of this.#running) if (context.hold.pause !== undefined) logPause(context)
  }

  async stop(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return
    await Promise.race([Promise.all(this.#running.map((agent) => agent.stop())), whenAborted(worker.signal)])
    await this.#app.replies.close(worker, worker.signal.reason)
  }

  get names(): readonly string[] {
    return this.#agents.map(({ name }) => name)
  }

  setPause(agent: string, pause: AgentPause | undefined): void {
    const context = this.#running.find((running) => running.context.agent === agent)?.context
    if (context === undefined) return
    const isNews = (context.hold.pause === undefined) !== (pause === undefined)
    context.hold.setPause(pause)
    // Earlier rows of the log are read before the worker is ready.
    if (this.#isReady && isNews) logPause(context)
  }

  pauses(): Readonly<Record<string, PausedStats>> {
    const paused = this.#running.flatMap(({ context: { agent, hold } }) => {
      const stats = hold.pausedStats
      return stats === undefined ? [] : [[agent, stats] as const]
    })
    return Object.fromEntries(paused)
  }

  counts(): Readonly<Record<string, AgentCounts>> {
    return this.#byName(({ counters }) => counters.snapshot())
  }

  handling(): Readonly<Record<string, HandlingTime>> {
    return this.#byName(({ times, worker }) => times.report(worker.clock.monotonic()))
  }

  waiting(): Readonly<Record<string, WaitingEvents>> {
    const found = this.#running.map(({ context, waiting }) => [context.agent, waiting] as const)
    return Object.fromEntries(found.flatMap(([agent, waiting]) => (waiting === undefined ? [] : [[agent, waiting]])))
  }

  histograms(): Readonly<Record<string, AgentHistograms>> {
    return this.#byName(({ times }) => times.histograms())
  }

  #byName<T>(of: (context: AgentContext) => T): Readonly<Record<string, T>> {
    return Object.fromEntries(this.#running.map(({ context }) => [context.agent, of(context)]))
  }

  #assertNames(): void {
    const seen = new Set<string>()
    for (const { name } of this.#agents) {
      if (seen.has(name)) throw new MillraceError('NAME_TAKEN', `There are two agents called "${name}".`)
      seen.add(name)
    }
  }
}

interface RunningAgentOptions {
  readonly app: StreamsContext
  readonly worker: WorkerContext
  readonly topology: Topology
  readonly agent: AnyAgent
  readonly defaults: ErrorPolicy
  /** Instances for agents that set no number. */
  readonly concurrency: number
  readonly ending: WorkerEnding
}

/** One agent on one worker. */
class RunningAgent {
  readonly context: AgentContext
  readonly #options: RunningAgentOptions
  readonly #sources: AgentSources
  readonly #instances: readonly AgentInstance[]
  #ended: Promise<unknown> = Promise.resolve()

  constructor(options: RunningAgentOptions) {
    this.#options = options
    const { app, worker, topology, agent, defaults, ending } = options
    const { shape } = agent
    this.context = {
      agent: agent.name,
      worker,
      storage: app.contexts,
      counters: new AgentCounters(),
      times: new HandlingTimes(),
      hold: new AgentHold(agent.name, worker),
      timeoutMs: shape.timeoutMs,
      rate: shape.perSecond === undefined ? undefined : new RateLimit(shape.perSecond, worker.clock),
      tombstones: shape.tombstones,
      retry: shape.retry,
      replyCodec: app.replies.codec,
      replyTopic: repliesTopic(worker.appId),
      tracing: app.tracing,
    }
    const errors = new ErrorHandling(this.context, { onError: shape.onError, defaults, ending })
    const instances = shape.concurrency ?? options.concurrency
    this.#sources = new AgentSources({ context: this.context, app, topology, ordering: shape.ordering, instances })
    const shared = { shape, errors, sources: this.#sources, silence: { isMade: false } }
    this.#instances = Array.from({ length: instances }, (_, index) => new AgentInstance(shared, index))
  }

  /**
   * Declares topics and sources and starts the handlers. A handler may declare more before its first `await`.
   *
   * @throws what the declarations throw
   */
  start(topology: Topology): void {
    const { app, agent, defaults } = this.#options
    const { sources, sinkTopics } = agent.shape
    for (const topic of sinkTopics) topology.topic(topic.declaration)
    for (const letters of deadLettersOf(app.appId, agent, defaults)) topology.topic(letters)
    for (const { index } of this.#instances) this.#sources.declared(sources, index)
    this.#ended = Promise.all(this.#instances.map((instance) => instance.run()))
  }

  get waiting(): WaitingEvents | undefined {
    return this.#sources.waiting()
  }

  /** Closes the channels to new messages; resolves when every handler that has started to read has ended. */
  async stop(): Promise<void> {
    this.#sources.closeOthers()
    for (const instance of this.#instances) instance.stop()
    await this.#ended
  }
}

function logPause({ agent, hold, worker }: AgentContext): void {
  const { since, ...note } = hold.pausedStats ?? {}
  const what = since === undefined ? 'goes on' : `is paused since ${since}: its events wait until it is resumed`
  worker.log.info({ agent, ...note }, `Agent "${agent}" ${what}.`)
}

/** The topic for an agent's dead letters; none if its `onError` keeps none. */
export function deadLettersOf(
  appId: string,
  { name, shape }: AnyAgent,
  defaults: ErrorPolicy = DEFAULT_ERROR_POLICY,
): readonly TopicDeclaration[] {
  if (!canDeadLetter(shape.onError, defaults)) return []
  const sources = shape.sources.flatMap((source) => (source instanceof Topic ? [source.name] : []))
  return [deadLetterDeclaration(appId, name, sources)]
}
