import { type CodecSpec, mergedSubscription } from '@millrace/core'
import type { Topology } from '@millrace/worker'
import { type AnyChannel, Channel } from '../channels/channel.ts'
import type { AgentContext } from '../events/agent-context.ts'
import type { EventSource } from '../events/source.ts'
import type { StreamsContext } from '../streams-context.ts'
import { createRepartitionTopic } from '../topics/create-topic.ts'
import { type AnyTopic, Topic } from '../topics/topic.ts'
import type { GroupSpec } from './steps.ts'
import { TopicSource } from './topic-source.ts'

export interface AgentSourcesOptions {
  readonly context: AgentContext
  readonly app: StreamsContext
  readonly topology: Topology
  readonly ordering: 'key' | 'none'
  readonly instances: number
}

/** All that one agent reads on one worker: each subscription once, with a source for each instance. */
export class AgentSources {
  readonly #options: AgentSourcesOptions
  readonly #subscriptions = new Map<string, readonly EventSource[]>()
  readonly #repartitionTopics = new Map<string, AnyTopic>()
  readonly #channels = new Set<AnyChannel>()

  constructor(options: AgentSourcesOptions) {
    this.#options = options
  }

  /** The sources with which the agent was declared: all topics in one subscription, each channel by itself. */
  declared(sources: readonly (AnyTopic | AnyChannel)[], instance: number): readonly EventSource[] {
    const topics = sources.filter((source) => source instanceof Topic)
    const channels = sources.filter((source) => source instanceof Channel)
    return [
      ...(topics.length === 0 ? [] : [this.#subscription(this.#options.context.agent, topics, instance)]),
      ...channels.map((channel) => this.#channel(channel, instance)),
    ]
  }

  /** A topic or channel that is merged into the stream. */
  further(source: AnyTopic | AnyChannel, instance: number): EventSource {
    if (source instanceof Channel) return this.#channel(source, instance)
    return this.#subscription(mergedSubscription(this.#options.context.agent, source.name), [source], instance)
  }

  /** What comes out of a topic of the user's that the stream goes through. */
  through(topic: AnyTopic, instance: number): EventSource {
    return this.#subscription(`${this.#options.context.agent}-through-${topic.name}`, [topic], instance)
  }

  /** A repartition topic and what comes out of it; `valueSpec` as its values are encoded. */
  repartition(
    spec: GroupSpec,
    valueSpec: CodecSpec,
    instance: number,
  ): { readonly topic: AnyTopic; readonly source: EventSource } {
    const { app, context } = this.#options
    const subscriptionId = `${context.agent}-${spec.name}`
    let topic = this.#repartitionTopics.get(spec.name)
    if (topic === undefined) {
      const { key, partitions } = spec
      topic = createRepartitionTopic(app, { subscriptionId, key, value: valueSpec, partitions })
      this.#repartitionTopics.set(spec.name, topic)
    }
    return { topic, source: this.#subscription(subscriptionId, [topic], instance) }
  }

  /** Whether an instance may get further events. */
  isOpen(instance: number): boolean {
    return [...this.#subscriptions.values()].some((sources) => sources[instance]?.closed === false)
  }

  /** Takes nothing more from channels; what is in them is still handed out. */
  closeChannels(): void {
    for (const channel of this.#channels) channel.close(this.#options.context.worker)
  }

  #subscription(id: string, topics: readonly AnyTopic[], instance: number): EventSource {
    const { topology, context, instances, ordering } = this.#options
    return this.#once(id, instance, () => {
      for (const topic of topics) topology.topic(topic.declaration)
      const names = topics.map((topic) => topic.name)
      return topology
        .subscribe({ id, topics: names, agent: context.agent, instances, ordering })
        .map((queue) => new TopicSource(queue, topics, context))
    })
  }

  #channel(channel: AnyChannel, instance: number): EventSource {
    const { context, instances } = this.#options
    this.#channels.add(channel)
    return this.#once(`channel ${channel.name}`, instance, () => channel.subscribe(context, instances))
  }

  #once(id: string, instance: number, make: () => readonly EventSource[]): EventSource {
    let sources = this.#subscriptions.get(id)
    if (sources === undefined) this.#subscriptions.set(id, (sources = make()))
    const source = sources[instance]
    if (source === undefined) throw new Error(`Subscription "${id}" has no source for instance ${instance}.`)
    return source
  }
}
