import { partitionKey, type RecordBatch, toError, type TopicPartition } from '@millrace/core'
import type { BrokenBatches, Isolation, LostPosition } from '@millrace/core/driver'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { isPassing, PassingError, reasonOf } from '../cluster/retrying.ts'
import { fetchRequest, type FetchedPartition } from '../wire/requests/fetch.ts'
import { FetchedBatches } from './fetched-batches.ts'
import { findRange, countMissing, requireSameTopic } from './lost-position.ts'
import { planFetches, readAnswer, type ReadAnswerOptions } from './fetch-round.ts'
import { newPosition, whereOf, type Position } from './position.ts'

export interface FetcherOptions {
  readonly isolation: Isolation
  readonly maxPartitionBytes: number
  readonly brokenBatches: BrokenBatches
  /**
   * Called if a position is not in its topic. The partition is not fetched until `seek`. An error thrown here is
   * permanent.
   */
  readonly onOutOfRange: (lost: LostPosition) => void
}

const NO_LEADER = -1

/** A temporary failure: logged as a warning, and tried again. */
interface Trouble {
  readonly where: string
  readonly why: string
}

/**
 * Fetches any number of partitions and delivers their batches: `planFetches` decides what to ask of which broker,
 * `readAnswer` interprets the answer, `FetchedBatches` decodes and delivers. A paused partition keeps its fetched data
 * and is left out of requests.
 */
export class PartitionFetcher {
  readonly #options: FetcherOptions
  readonly #reading: ReadAnswerOptions
  readonly #context: KafkaClientContext
  readonly #links: BrokerLinks
  /** Aborts when the client is closed. */
  readonly #signal: AbortSignal
  readonly #positions = new Map<string, Position>()
  readonly #batches: FetchedBatches
  /** Brokers that have not answered yet. */
  readonly #fetching = new Set<number>()
  #answers = 0

  constructor(options: FetcherOptions, context: KafkaClientContext, signal: AbortSignal) {
    this.#options = options
    this.#reading = { ...context.settings, codecs: context.codecs(), isolation: options.isolation }
    this.#context = context
    this.#links = context.openLinks()
    this.#signal = signal
    this.#batches = new FetchedBatches(this, options.brokenBatches)
  }

  /** Makes a partition known; nothing is fetched before `seek`. */
  add(partition: TopicPartition): void {
    this.#context.view.want([partition.topic])
    this.remove(partition)
    this.#positions.set(partitionKey(partition), newPosition(partition))
  }

  remove(partition: TopicPartition): void {
    const key = partitionKey(partition)
    const position = this.#positions.get(key)
    if (position === undefined) return
    position.removed = true
    this.#positions.delete(key)
  }

  has(partition: TopicPartition): boolean {
    return this.#positions.has(partitionKey(partition))
  }

  /** Drops fetched data and continues at `offset`. Ignored for unknown partitions. */
  seek(partition: TopicPartition, offset: number): void {
    const position = this.#positions.get(partitionKey(partition))
    if (position === undefined) return
    position.offset = offset
    position.active = true
    position.version++
    position.fetched = undefined
    this.#batches.wake()
  }

  /** Stops partitions until `seek`, which also resumes them. */
  stop(partitions: readonly TopicPartition[]): void {
    for (const position of this.#known(partitions)) {
      position.active = false
      position.paused = false
      position.version++
      position.fetched = undefined
    }
    // The dropped data may have been the only reason why its broker was not asked.
    this.#batches.wake()
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const position of this.#known(partitions)) position.paused = true
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const position of this.#known(partitions)) {
      if (!position.paused) continue
      position.paused = false
      if (position.fetched !== undefined) this.#batches.add(position)
    }
    this.#batches.wake()
  }

  /** To be iterated once. */
  batches(): AsyncIterable<RecordBatch> {
    return this.#batches
  }

  /** Makes `batches()` throw. The first failure counts. */
  fail(error: Error): void {
    this.#batches.fail(error)
  }

  /** Ends `batches()` and cuts its connections. */
  close(): void {
    this.#batches.end()
    this.#links.close()
  }

  /** Fetches again after a while, because data that was damaged in transit is intact then. */
  async fetchAgain(position: Position, why: string): Promise<void> {
    const { version } = position
    const { reconnects } = this.#context
    const signal = this.#signal
    position.active = false
    try {
      await reconnects.wait(`reading ${partitionKey(position)}`, why, signal)
    } catch (error) {
      if (!signal.aborted) this.fail(toError(error))
      return
    }
    if (position.version === version) position.active = true
    this.#batches.wake()
  }

  fetchMore(): void {
    if (!this.#batches.open) return
    const plan = planFetches(this.#positions.values(), this.#context.view, this.#fetching)
    for (const [leader, positions] of plan) void this.#fetch(leader, positions)
  }

  #known(partitions: readonly TopicPartition[]): readonly Position[] {
    return partitions.flatMap((partition) => this.#positions.get(partitionKey(partition)) ?? [])
  }

  /** One request and its answer, followed by a wait if it failed temporarily. */
  async #fetch(leader: number, positions: readonly Position[]): Promise<void> {
    const { reconnects } = this.#context
    const signal = this.#signal
    this.#fetching.add(leader)
    try {
      const trouble = leader === NO_LEADER ? await this.#lookUp(positions) : await this.#fetchFrom(leader, positions)
      if (trouble !== undefined) await reconnects.wait(`reading ${trouble.where}`, trouble.why, signal)
    } catch (error) {
      if (signal.aborted) return
      this.fail(toError(error))
    } finally {
      this.#fetching.delete(leader)
    }
    this.#batches.wake()
  }

  async #fetchFrom(leader: number, positions: readonly Position[]): Promise<Trouble | undefined> {
    const versions = new Map(positions.map((position) => [position, position.version]))
    for (const position of positions) requireSameTopic(position, this.#context.view)
    let answers: readonly FetchedPartition[]
    try {
      answers = await this.#ask(leader, positions)
    } catch (error) {
      if (!isPassing(error)) throw error
      return { where: whereOf(positions), why: reasonOf(error) }
    }
    let trouble: Trouble | undefined
    for (const answer of answers) {
      const position = this.#positions.get(partitionKey(answer))
      // The position may have been moved or removed since.
      if (position === undefined || versions.get(position) !== position.version) continue
      trouble = this.#absorb(position, answer) ?? trouble
    }
    return trouble
  }

  async #ask(leader: number, positions: readonly Position[]): Promise<readonly FetchedPartition[]> {
    const { view, settings } = this.#context
    const links = this.#links
    const address = view.node(leader)
    if (address === undefined) throw new PassingError(`Broker ${leader} is not known.`)
    const link = links.ready(address) ?? (await links.to(address))
    return link.send(fetchRequest(positions, { ...settings, ...this.#options }))
  }

  #absorb(position: Position, fetched: FetchedPartition): Trouble | undefined {
    const answer = readAnswer(fetched, position.offset, this.#reading)
    if (answer.kind === 'unknown') return this.#troubleWithout([position])
    if (answer.kind === 'trouble') return { where: partitionKey(position), why: answer.why }
    if (answer.kind === 'out of range') {
      void this.#outOfRange(position)
      return undefined
    }
    position.lookupsMissing = 0
    if (answer.kind === 'data') {
      position.fetched = { set: answer.set, endOffset: answer.endOffset, decoded: undefined }
      position.servedAt = ++this.#answers
      if (!position.paused) this.#batches.add(position)
    }
    return undefined
  }

  /** Asks the client where to continue. */
  async #outOfRange(position: Position): Promise<void> {
    const { version } = position
    const signal = this.#signal
    position.active = false
    try {
      const lost = await findRange(position, this.#context, signal)
      if (position.version !== version || position.removed) return
      this.#options.onOutOfRange(lost)
    } catch (error) {
      if (signal.aborted) return
      this.fail(toError(error))
    }
    this.#batches.wake()
  }

  /** Partitions without a leader mostly belong to topics that have not been looked up yet. */
  async #lookUp(positions: readonly Position[]): Promise<Trouble | undefined> {
    const { view } = this.#context
    try {
      await view.ensure(positions.map(({ topic }) => topic))
    } catch (error) {
      if (!isPassing(error)) throw error
      return { where: whereOf(positions), why: reasonOf(error) }
    }
    const leaderless = positions.filter((position) => view.leader(position) === NO_LEADER)
    return leaderless.length === 0 ? undefined : this.#troubleWithout(leaderless)
  }

  #troubleWithout(positions: readonly Position[]): Trouble {
    countMissing(positions, this.#context.view)
    return { where: whereOf(positions), why: 'It has no leader.' }
  }
}
