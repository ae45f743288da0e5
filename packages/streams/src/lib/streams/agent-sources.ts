import { type CodecSpec, mergedSubscription, MillraceError, retryState } from '@millrace/core'
import type { DueSource, StateDefinition, WaitingEvents } from '@millrace/worker'
import type { AgentContext } from '../events/agent-context.ts'
import type { EventSource } from '../events/source.ts'
import type { JoinSpec, JoinState } from '../joins/join-state.ts'
import type { JoinedPartitions } from '../stream-joins.ts'
import { cannotWait } from '../errors/retry-plan.ts'
import type { RetryState } from '../retries/retry-state.ts'
import type { StreamStates } from '../states/stream-states.ts'
import type { StreamWindowsSpec, WindowState } from '../stream-windows.ts'
import type { StreamsContext } from '../streams-context.ts'
import { createRepartitionTopic } from '../topics/create-topic.ts'
import type { OpenSourceOptions, OtherSource, PlannedSource, SourcePlan } from '../topics/source-plan.ts'
import type { AnyTopic } from '../topics/topic.ts'
import { DueReader } from './due-source.ts'
import type { Branch } from './stream-step.ts'
import type { GroupSpec } from './steps.ts'
import { topicSource } from './topic-source.ts'

export interface AgentSourcesOptions extends OpenSourceOptions {
  readonly context: AgentContext
  readonly app: StreamsContext
}

/** Everything that one agent reads on one worker: each subscription once, with a source for each instance. */
export class AgentSources {
  readonly #options: AgentSourcesOptions
  readonly #subscriptions = new Map<string, readonly EventSource[]>()
  readonly #repartitionTopics = new Map<string, AnyTopic>()
  readonly #others = new Set<OtherSource>()
  readonly #waiting = new Set<RetryState>()

  constructor(options: AgentSourcesOptions) {
    this.#options = options
  }

  /** The sources with which the agent was declared: all topics in one subscription, anything else by itself. */
  declared(sources: readonly PlannedSource<AnyTopic>[], instance: number): readonly EventSource[] {
    return this.#open(sources, this.#options.context.agent, instance)
  }

  /** Opens sources that are merged into the stream. */
  further(source: PlannedSource<AnyTopic>, instance: number): readonly EventSource[] {
    return this.#open([source], mergedSubscription(this.#options.context.agent, source.name), instance)
  }

  /** Reads the user's topic that the stream goes through. */
  through(topic: AnyTopic, instance: number): EventSource {
    return this.#subscription(`${this.#options.context.agent}-through-${topic.name}`, [topic], instance)
  }

  /**
   * Declares a repartition topic and reads it. `value`: how its values are encoded; `from`: whose events go into it.
   */
  repartition(
    spec: GroupSpec,
    { value, from }: { readonly value: CodecSpec; readonly from: readonly Branch[] },
    instance: number,
  ): { readonly topic: AnyTopic; readonly source: EventSource } {
    const { app, context } = this.#options
    const subscriptionId = `${context.agent}-${spec.name}`
    let topic = this.#repartitionTopics.get(spec.name)
    if (topic === undefined) {
      const { key, partitions, sizedAs, why } = spec
      const timeOf = from.flatMap(({ source }) => source.subscriptions)
      topic = createRepartitionTopic(app, { subscriptionId, key, value, partitions, sizedAs, timeOf })
      this.#repartitionTopics.set(spec.name, topic)
      if (why !== undefined)
        context.worker.log.info(
          { agent: context.agent, topic: topic.name },
          `Events of agent "${context.agent}" go through topic ${topic.name} ${why}.`,
        )
    }
    return { topic, source: this.#subscription(subscriptionId, [topic], instance) }
  }

  /** The events of all these subscriptions go out by time. At equal times, those of an earlier list go first. */
  order(lists: readonly (readonly string[])[]): void {
    const { topology } = this.#options
    for (const [nth, list] of lists.entries())
      for (const then of list) for (const first of lists[nth - 1] ?? [then]) topology.order(first, then)
  }

  /** The events of these subscriptions are joined with a table. */
  readsTable(subscriptions: readonly string[], table: JoinedPartitions<unknown, unknown>): void {
    const { topology } = this.#options
    for (const subscription of subscriptions) {
      topology.reads(subscription, table)
      if (table.writer !== undefined) topology.order(table.writer, subscription)
    }
  }

  /** The state of a stream's windows. */
  windowState(spec: StreamWindowsSpec): WindowState {
    const { windows } = this.#options.app
    return this.#state(windows?.open(spec), 'has no windows')
  }

  /** The state of a join of two streams. */
  joinState(spec: JoinSpec): JoinState {
    const { joins } = this.#options.app
    return this.#state(joins?.open(spec), 'has no joins')
  }

  /** What else operators keep. */
  state<S extends StateDefinition>(open: (states: StreamStates) => S): S {
    const { states } = this.#options.app
    return this.#state(states === undefined ? undefined : open(states), 'keeps nothing')
  }

  /** What is due in a state. */
  due(source: DueSource<unknown, unknown>, instance: number): EventSource {
    const { context } = this.#options
    this.#assertTopics(`due ${source.name}`)
    return this.#once(`due ${source.name}`, instance, () =>
      new DueReader(context.agent, source).open(context, this.#options),
    )
  }

  /** What waits outside of its partition here; `undefined` if nothing ever does. */
  waiting(): WaitingEvents | undefined {
    const { retry, worker } = this.#options.context
    if (retry === undefined) return undefined
    const counts = [...this.#waiting].map((state) => state.counts(worker))
    const next = Math.min(...counts.map(({ nextAt }) => nextAt))
    return {
      events: counts.reduce((sum, { events }) => sum + events, 0),
      next: next === Infinity ? undefined : new Date(next).toISOString(),
    }
  }

  /** Whether an instance may get further events. */
  isOpen(instance: number): boolean {
    return [...this.#subscriptions.values()].some((sources) => sources[instance]?.closed === false)
  }

  /** Closes sources that are not topics to new events; waiting ones are still handed out. */
  closeOthers(): void {
    for (const source of this.#others) source.close(this.#options.context.worker)
  }

  #state<S extends StateDefinition>(state: S | undefined, without: string): S {
    const { topology, context } = this.#options
    if (state === undefined)
      throw new MillraceError('DEFINITION_INVALID', `Agent "${context.agent}" belongs to no app, and so ${without}.`)
    topology.state(state)
    return state
  }

  #subscription(id: string, topics: readonly AnyTopic[], instance: number): EventSource {
    const { topology, context, instances, ordering } = this.#options
    return this.#once(id, instance, () => {
      for (const topic of topics) topology.topic(topic.declaration)
      const names = topics.map((topic) => topic.name)
      const retries = this.#retries(id, topics)
      const due = retries === undefined ? {} : { due: retries }
      return topology
        .subscribe({ id, topics: names, agent: context.agent, instances, ordering, ...due })
        .map((queue) => topicSource(queue, { subscription: id, topics, retries }, context))
    })
  }

  /** Each source opens itself; `subscription` is the id of the one that its topics share. */
  #open(sources: readonly PlannedSource<AnyTopic>[], subscription: string, instance: number): readonly EventSource[] {
    const topics: AnyTopic[] = []
    const others: EventSource[] = []
    const plan: SourcePlan<AnyTopic> = {
      topic: (topic) => void topics.push(topic),
      other: (id, source) => void others.push(this.#other(id, source, instance)),
    }
    for (const source of sources) source.planFor(plan)
    return topics.length === 0 ? others : [this.#subscription(subscription, topics, instance), ...others]
  }

  #other(id: string, source: OtherSource, instance: number): EventSource {
    this.#assertTopics(id)
    this.#others.add(source)
    return this.#once(id, instance, () => source.open(this.#options.context, this.#options))
  }

  /** Where the events of a subscription wait between attempts. */
  #retries(id: string, topics: readonly AnyTopic[]): RetryState | undefined {
    const { topology, context } = this.#options
    const { agent, retry } = context
    if (retry === undefined) return undefined
    const codecs = new Set(topics.map(({ declaration }) => declaration.keyCodec))
    const spec = {
      agent,
      name: retryState(id),
      topics: topics.map(({ name }) => name),
      keyCodec: codecs.size === 1 ? topics[0]?.declaration.keyCodec : undefined,
      order: retry.order,
    }
    const state = this.state((states) => states.retries(spec))
    this.#waiting.add(state)
    // Its events wait in their own tasks.
    topology.reads(id, state)
    return state
  }

  #assertTopics(source: string): void {
    const { agent, retry } = this.#options.context
    if (retry === undefined) return
    throw cannotWait(
      agent,
      `reads "${source}", which is no topic, and only events of topics can wait: let another agent send what comes from there to a topic.`,
    )
  }

  #once(id: string, instance: number, make: () => readonly EventSource[]): EventSource {
    let sources = this.#subscriptions.get(id)
    if (sources === undefined) this.#subscriptions.set(id, (sources = make()))
    const source = sources[instance]
    if (source === undefined) throw new Error(`Subscription "${id}" has no source for instance ${instance}.`)
    return source
  }
}
