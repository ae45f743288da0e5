import { MillraceError, type Clock, type TopicPartition } from '@millrace/core'
import { kafkaError, isRetriable, KafkaCode } from '../errors/kafka-errors.ts'
import type { BrokerLink } from '../kafkajs/broker-link.ts'
import { metadataRequest, type BrokerAddress, type MetadataTopic } from '../wire/requests/cluster.ts'
import type { WireRequest } from '../wire/wire-request.ts'
import type { BrokerLinks } from './broker-links.ts'

export interface TopicView {
  readonly name: string
  readonly id: string
  /** Node id of each partition's leader; -1 while there is none. */
  readonly leaders: readonly number[]
  /** The number of replicas of the partition with the fewest. */
  readonly replicas: number
}

/** The cluster view with the connections over which the cluster is asked. */
export interface ClusterAccess {
  readonly view: ClusterView
  readonly links: BrokerLinks
}

/**
 * What is known of the cluster: brokers, and the topics asked for so far with their leaders. One for a whole
 * transport. A metadata request serves all callers that asked for it before it was sent.
 */
export class ClusterView {
  readonly #links: BrokerLinks
  readonly #seeds: readonly BrokerAddress[]
  readonly #clock: Clock
  readonly #wanted = new Set<string>()
  #refreshedMs = -Infinity
  #nodes: ReadonlyMap<number, BrokerAddress> = new Map()
  #topics: ReadonlyMap<string, TopicView> = new Map()
  #refused: ReadonlyMap<string, MillraceError> = new Map()
  #running: Promise<void> | undefined
  #queued: Promise<void> | undefined

  constructor(links: BrokerLinks, seeds: readonly BrokerAddress[], clock: Clock) {
    this.#links = links
    this.#seeds = seeds
    this.#clock = clock
  }

  node(nodeId: number): BrokerAddress | undefined {
    return this.#nodes.get(nodeId)
  }

  /** Brokers that were up at the last refresh. */
  get brokers(): number {
    return this.#nodes.size
  }

  topic(name: string): TopicView | undefined {
    return this.#topics.get(name)
  }

  /** Why a topic cannot be looked up, other than that it does not exist. */
  refusal(name: string): MillraceError | undefined {
    return this.#refused.get(name)
  }

  /** Node id of a partition's leader; -1 when it has none or is not known. */
  leader(partition: TopicPartition): number {
    return this.#topics.get(partition.topic)?.leaders[partition.partition] ?? -1
  }

  /** From now on every metadata request includes these topics. */
  want(topics: Iterable<string>): void {
    for (const topic of topics) this.#wanted.add(topic)
  }

  /** Makes sure that the topics are known, if they exist, without a request when they are. */
  async ensure(topics: readonly string[]): Promise<void> {
    if (topics.every((topic) => this.#topics.has(topic))) return
    this.want(topics)
    await this.refresh()
  }

  /** True when the last refresh was longer ago than that: partitions may have been added since. */
  isOlderThan(ageMs: number): boolean {
    return this.#clock.monotonic() - this.#refreshedMs > ageMs
  }

  /** Requests the metadata. Rejects if no broker can be reached. */
  refresh(): Promise<void> {
    if (this.#running === undefined) {
      const run = this.#load().finally(() => {
        if (this.#running === run) this.#running = undefined
      })
      this.#running = run
      return run
    }
    // The request under way may lack the caller's topics, or have been sent before what the caller saw.
    this.#queued ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined
        return this.refresh()
      })
    return this.#queued
  }

  /** Describes topics by name, or all, with a new request. Topics that do not exist are absent. */
  async describe(names: readonly string[] | undefined): Promise<readonly TopicView[]> {
    const metadata = await this.ask(metadataRequest(names))
    return metadata.topics.flatMap((topic) => {
      const view = topicView(topic)
      if (view instanceof MillraceError) throw view
      return view === undefined ? [] : [view]
    })
  }

  /**
   * Partition counts, requested now and not remembered; topics that cannot be looked up are absent. The names may come
   * from a foreign member of the group: an impossible name must not spoil the answer for the others, and later requests
   * must not grow.
   */
  async partitionCounts(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const { topics } = await this.ask(metadataRequest(names))
    return new Map(
      topics.map(topicView).flatMap((view) => {
        return view === undefined || view instanceof MillraceError ? [] : [[view.name, view.leaders.length]]
      }),
    )
  }

  /** A link to any broker that can be reached. */
  async anyLink(): Promise<BrokerLink> {
    let failure: unknown
    const candidates = [...this.#nodes.values(), ...this.#seeds]
    const connected = candidates.find((address) => this.#links.ready(address) !== undefined)
    for (const address of connected === undefined ? candidates : [connected, ...candidates]) {
      try {
        return await this.#links.to(address)
      } catch (error) {
        failure ??= error
      }
    }
    throw failure ?? new MillraceError('BROKER_UNREACHABLE', 'No broker is known.')
  }

  /**
   * Asks a question that any broker answers at once. A broker that has not answered after a few seconds hangs, and
   * another one is asked.
   */
  async ask<T>(request: WireRequest<T>): Promise<T> {
    let failure: unknown
    // A connection that was lost unnoticed fails on its first use; then another broker, or a new connection, may
    // succeed.
    for (let attempt = 0; attempt <= this.#seeds.length + this.#nodes.size; attempt++) {
      const link = await this.anyLink()
      try {
        return await link.send(request, this.#links.questionLimitMs)
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  async #load(): Promise<void> {
    const wanted = [...this.#wanted]
    const metadata = await this.ask(metadataRequest(wanted))
    this.#nodes = new Map(metadata.nodes.map((node) => [node.nodeId, node]))
    const topics = new Map<string, TopicView>()
    const refused = new Map<string, MillraceError>()
    for (const topic of metadata.topics) {
      const view = topicView(topic)
      if (view instanceof MillraceError) refused.set(topic.name, view)
      else if (view !== undefined) topics.set(topic.name, view)
    }
    this.#refreshedMs = this.#clock.monotonic()
    this.#topics = topics
    this.#refused = refused
  }
}

function topicView(topic: MetadataTopic): TopicView | MillraceError | undefined {
  if (topic.errorCode === KafkaCode.unknownTopicOrPartition) return undefined
  if (topic.errorCode !== KafkaCode.ok && !isRetriable(topic.errorCode)) {
    return kafkaError(topic.errorCode, `Topic "${topic.name}" could not be looked up.`, 'TOPIC_INVALID', 'Describe')
  }
  const leaders: number[] = new Array<number>(topic.partitions.length).fill(-1)
  for (const { partition, leader } of topic.partitions) leaders[partition] = leader
  const replicas = topic.partitions.reduce((fewest, partition) => Math.min(fewest, partition.replicas), Infinity)
  return { name: topic.name, id: topic.id, leaders, replicas }
}

/** Reads `host:port`; throws `BROKER_URL_INVALID`. */
export function parseAddress(text: string): BrokerAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]/]+)):(\d+)$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port > 0 && port < 65_536)) {
    throw new MillraceError('BROKER_URL_INVALID', `"${text}" is not host:port.`)
  }
  return { nodeId: -1, host, port }
}
