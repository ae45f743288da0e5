import {
  type AgentHistograms,
  type CodecSpec,
  type EventFeed,
  type HandlingTime,
  mergedSubscription,
  type Topology,
  type WorkerContext,
} from '@millrace/core'
import { Channel } from '../channels/channel.ts'
import { AgentScope } from '../events/agent-scope.ts'
import { deadLetterDeclaration } from '../dead-letters/dead-letter-topic.ts'
import type { DeliveryHost } from '../events/topic-delivery.ts'
import { type Inlet, TopicInlet } from '../streams/inlet.ts'
import type { GroupSpec } from '../streams/repartition-step.ts'
import type { StreamsDeps } from '../streams-deps.ts'
import { createRepartitionTopic } from '../topics/repartition-topic.ts'
import { type AnyTopic, Topic } from '../topics/topic.ts'
import type { AnyAgent } from './agent.ts'
import { type AgentCounts, AgentCounters } from './agent-counters.ts'
import { AgentInstance } from './agent-instance.ts'
import { canDeadLetter, type ErrorPolicy } from './error-policy.ts'
import { FailureRoad, type WorkerEnding } from './failure-road.ts'
import type { Hop } from './handler-run.ts'
import { HandlingTimes } from './handling-times.ts'

export interface AgentRunnerOptions {
  readonly deps: StreamsDeps
  readonly worker: WorkerContext
  readonly topology: Topology
  readonly agent: AnyAgent
  readonly defaults: ErrorPolicy
  /** Instances, where the agent does not say how many. */
  readonly concurrency: number
  readonly ending: WorkerEnding
}

/** One agent on one worker: its subscriptions, and its instances. */
export class AgentRunner {
  readonly #options: AgentRunnerOptions
  readonly #counters = new AgentCounters()
  readonly #times = new HandlingTimes()
  readonly #road: FailureRoad
  readonly #host: DeliveryHost
  readonly #inlets = new Map<string, readonly Inlet[]>()
  readonly #hops = new Map<string, AnyTopic>()
  readonly #channels = new Set<Channel<never>>()
  #instances: readonly AgentInstance[] = []
  #running: Promise<unknown> = Promise.resolve()
  #isSilent = false

  constructor(options: AgentRunnerOptions) {
    this.#options = options
    const { deps, worker, agent, defaults, ending } = options
    const { name, onError, tombstones } = agent.shape
    const counters = this.#counters
    this.#road = new FailureRoad({ storage: deps.scope, worker, agent: name, onError, defaults, counters, ending })
    this.#host = { agent: name, worker, counters, tombstones, replyCodec: deps.replies.codec }
  }

  get name(): string {
    return this.#options.agent.name
  }

  get #concurrency(): number {
    return this.#options.agent.shape.concurrency ?? this.#options.concurrency
  }

  counts(): AgentCounts {
    return this.#counters.snapshot()
  }

  handling(): HandlingTime {
    return this.#times.report(this.#options.worker.clock.monotonic())
  }

  histograms(): AgentHistograms {
    return this.#times.histograms()
  }

  /**
   * Declares the sources and starts the handlers, which may declare more before their first `await`.
   *
   * @throws what the handlers' declarations throw
   */
  start(): void {
    const { deps, worker, topology, agent, defaults } = this.#options
    const { sources, sinkTopics, onError } = agent.shape
    for (const topic of sinkTopics) this.#declare(topic)
    if (canDeadLetter(onError, defaults)) {
      const topics = sources.filter((source) => source instanceof Topic).map((topic) => topic.name)
      topology.topic(deadLetterDeclaration(deps.appId, agent.name, topics))
    }
    const inlets = this.#sources(sources, false)
    this.#instances = Array.from({ length: this.#concurrency }, (_, index) =>
      this.#instance(inlets.map((each) => each[index]).filter(isThere), index),
    )
    const runs = this.#instances.map((instance) =>
      deps.scope.run(new AgentScope(worker, agent.name, undefined), () => instance.run()),
    )
    this.#running = Promise.all(runs)
  }

  /** Takes nothing more from channels; resolves when every handler has ended that has begun to read its stream. */
  async stop(): Promise<void> {
    for (const channel of this.#channels) channel.close(this.#options.worker)
    for (const instance of this.#instances) instance.stop()
    await this.#running
  }

  #instance(sources: readonly Inlet[], index: number): AgentInstance {
    const { deps, worker, agent } = this.#options
    const at = (inlets: readonly Inlet[]): Inlet => {
      const inlet = inlets[index]
      if (inlet === undefined) throw new Error(`Agent "${agent.name}" has no feed for instance ${index}.`)
      return inlet
    }
    return new AgentInstance({
      shape: agent.shape,
      onSilent: (silentMs) => this.#silent(silentMs),
      stillOpen: () => [...this.#inlets.values()].some((inlets) => !at(inlets).closed),
      host: {
        storage: deps.scope,
        worker,
        agent: agent.name,
        road: this.#road,
        times: this.#times,
        sources,
        inlet: (source) => at(this.#sources([source], true)[0] ?? []),
        repartition: (spec, valueSpec): Hop => {
          const topic = this.#repartitionTopic(spec, valueSpec)
          return { topic, inlet: at(this.#subscription(subscriptionOf(agent, spec), [topic])) }
        },
        passage: (topic) => at(this.#subscription(`${agent.name}-through-${topic.name}`, [topic])),
      },
    })
  }

  /** Told once: its events look like any that wait for their turn. */
  #silent(silentMs: number): void {
    const { worker, agent } = this.#options
    if (this.#isSilent) return
    this.#isSilent = true
    worker.log.warn(
      { agent: agent.name },
      `Agent "${agent.name}" has not begun to read its stream, ${silentMs / 1000} s after its handler was called: its events wait until the handler does. What does it await?`,
    )
  }

  /** All topics in one subscription, each channel by itself. */
  #sources(sources: AnyAgent['shape']['sources'], isMerged: boolean): readonly (readonly Inlet[])[] {
    const { agent } = this.#options
    const topics = sources.filter((source) => source instanceof Topic)
    const id = isMerged ? mergedSubscription(agent.name, topics.map((topic) => topic.name).join('-')) : agent.name
    const channels = sources.filter((source) => source instanceof Channel)
    return [
      ...(topics.length === 0 ? [] : [this.#subscription(id, topics)]),
      ...channels.map((channel) => this.#lanes(channel)),
    ]
  }

  #subscription(id: string, topics: readonly AnyTopic[]): readonly Inlet[] {
    const { topology, agent } = this.#options
    return this.#once(id, () => {
      for (const topic of topics) this.#declare(topic)
      const { ordering } = agent.shape
      const names = topics.map((topic) => topic.name)
      const feeds = topology.subscribe({ id, topics: names, agent: agent.name, instances: this.#concurrency, ordering })
      const where = names.map((each) => `topic "${each}"`).join(', ')
      return feeds.map((feed: EventFeed) => new TopicInlet({ where, feed, topics, host: this.#host }))
    })
  }

  #lanes(channel: Channel<never>): readonly Inlet[] {
    this.#channels.add(channel)
    return this.#once(`channel ${channel.name}`, () => channel.subscribe(this.#host, this.#concurrency))
  }

  #once(id: string, make: () => readonly Inlet[]): readonly Inlet[] {
    const known = this.#inlets.get(id)
    if (known !== undefined) return known
    const made = make()
    this.#inlets.set(id, made)
    return made
  }

  #repartitionTopic(spec: GroupSpec, valueSpec: CodecSpec): AnyTopic {
    const { deps, agent } = this.#options
    const known = this.#hops.get(spec.name)
    if (known !== undefined) return known
    const topic = createRepartitionTopic(deps, {
      subscriptionId: subscriptionOf(agent, spec),
      key: spec.key,
      value: valueSpec,
      partitions: spec.partitions,
    })
    this.#hops.set(spec.name, topic)
    return topic
  }

  #declare(topic: AnyTopic): void {
    this.#options.topology.topic(topic.declaration)
  }
}

function subscriptionOf({ name }: AnyAgent, step: GroupSpec): string {
  return `${name}-${step.name}`
}

function isThere(inlet: Inlet | undefined): inlet is Inlet {
  return inlet !== undefined
}
