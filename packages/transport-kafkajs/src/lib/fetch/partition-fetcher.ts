import {
  partitionKey,
  toError,
  type BrokenBatches,
  type Isolation,
  type LostPosition,
  type RecordBatch,
  type TopicPartition,
} from '@millrace/core'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import type { OpenStateOptions } from '../cluster/part-context.ts'
import { isPassing, PassingError, reasonOf } from '../cluster/retrying.ts'
import { fetchRequest, type FetchedPartition } from '../wire/requests/fetch.ts'
import { BatchStream } from './batch-stream.ts'
import { FetchedSets } from './fetched-sets.ts'
import { findRange, countMissing, requireSameTopic } from './lost-position.ts'
import { planFetches, readAnswer } from './fetch-round.ts'
import { newPosition, whereOf, type Position } from './position.ts'

export interface FetcherOptions {
  readonly isolation: Isolation
  readonly maxPartitionBytes: number
  readonly brokenBatches: BrokenBatches
}

export interface FetcherDeps extends Pick<OpenStateOptions, 'settings' | 'view' | 'control' | 'recovery' | 'codecs'> {
  readonly links: BrokerLinks
  /** Aborts when the part is closed. */
  readonly signal: AbortSignal
  /** A position is not in its topic. Nothing of the partition is fetched until `seek`; what this throws is for good. */
  readonly onOutOfRange: (lost: LostPosition) => void
}

const NO_LEADER = -1

/** Something that passes: said in a warning, and tried again. */
interface Trouble {
  readonly where: string
  readonly why: string
}

/**
 * Fetches any number of partitions and hands out what came, batch by batch: `planFetches` says what to ask which broker,
 * `readAnswer` what the answer means, `FetchedSets` what is in it, `BatchStream` hands over. A paused partition keeps what
 * was fetched of it and is left out of requests.
 */
export class PartitionFetcher {
  readonly #options: FetcherOptions
  readonly #deps: FetcherDeps
  readonly #positions = new Map<string, Position>()
  readonly #fetched: FetchedSets
  /** Brokers that have not answered yet. */
  readonly #fetching = new Set<number>()
  readonly #stream: BatchStream = new BatchStream({
    take: () => this.#fetched.take(),
    wanted: () => this.#fetchMore(),
  })
  #answers = 0

  constructor(options: FetcherOptions, deps: FetcherDeps) {
    this.#options = options
    this.#deps = deps
    this.#fetched = new FetchedSets({
      brokenBatches: options.brokenBatches,
      isCurrent: (position) => this.#isCurrent(position),
      onDamaged: (position, why) => void this.#fetchAgain(position, why),
      onDecoded: () => this.#stream.wake(),
      fail: (error) => this.fail(error),
    })
  }

  /** Makes a partition known; nothing is fetched before `seek`. */
  add(partition: TopicPartition): void {
    this.#deps.view.want([partition.topic])
    this.#positions.set(partitionKey(partition), newPosition(partition))
  }

  remove(partition: TopicPartition): void {
    this.#positions.delete(partitionKey(partition))
  }

  has(partition: TopicPartition): boolean {
    return this.#positions.has(partitionKey(partition))
  }

  /** Drops what was fetched and goes on at `offset`. Ignored for partitions that are not known. */
  seek(partition: TopicPartition, offset: number): void {
    const position = this.#positions.get(partitionKey(partition))
    if (position === undefined) return
    position.offset = offset
    position.active = true
    position.version++
    position.fetched = undefined
    this.#stream.wake()
  }

  /** Silent until `seek`, and not paused then. */
  stop(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const position = this.#positions.get(partitionKey(partition))
      if (position === undefined) continue
      position.active = false
      position.paused = false
      position.version++
      position.fetched = undefined
    }
    // What it held may have been all that kept its broker from being asked.
    this.#stream.wake()
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const position = this.#positions.get(partitionKey(partition))
      if (position !== undefined) position.paused = true
    }
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const position = this.#positions.get(partitionKey(partition))
      if (position === undefined || !position.paused) continue
      position.paused = false
      if (position.fetched !== undefined) this.#fetched.add(position)
    }
    this.#stream.wake()
  }

  /** To be iterated once. */
  batches(): AsyncIterable<RecordBatch> {
    return this.#stream
  }

  /** Makes `batches()` throw. The first failure counts. */
  fail(error: Error): void {
    this.#stream.fail(error)
  }

  /** Ends `batches()`. */
  end(): void {
    this.#stream.end()
  }

  /** After a while: what was damaged on its way is whole then. */
  async #fetchAgain(position: Position, why: string): Promise<void> {
    const { version } = position
    const { recovery, signal } = this.#deps
    position.active = false
    try {
      await recovery.wait(`reading ${partitionKey(position)}`, why, signal)
    } catch (error) {
      if (!signal.aborted) this.fail(toError(error))
      return
    }
    if (position.version === version) position.active = true
    this.#stream.wake()
  }

  #fetchMore(): void {
    if (!this.#stream.open) return
    const plan = planFetches(this.#positions.values(), {
      leader: (partition) => this.#deps.view.leader(partition),
      fetching: this.#fetching,
    })
    for (const [leader, positions] of plan) void this.#fetch(leader, positions)
  }

  /** One request and its answer, and a wait when there was trouble. */
  async #fetch(leader: number, positions: readonly Position[]): Promise<void> {
    const { recovery, signal } = this.#deps
    this.#fetching.add(leader)
    try {
      const trouble = leader === NO_LEADER ? await this.#lookUp(positions) : await this.#fetchFrom(leader, positions)
      if (trouble !== undefined) await recovery.wait(`reading ${trouble.where}`, trouble.why, signal)
    } catch (error) {
      if (signal.aborted) return
      this.fail(toError(error))
    } finally {
      this.#fetching.delete(leader)
    }
    this.#stream.wake()
  }

  async #fetchFrom(leader: number, positions: readonly Position[]): Promise<Trouble | undefined> {
    const asked = positions.map((position) => ({ position, version: position.version }))
    for (const { position } of asked) requireSameTopic(position, this.#deps.view)
    let answers: readonly FetchedPartition[]
    try {
      answers = await this.#ask(
        leader,
        asked.map(({ position }) => position),
      )
    } catch (error) {
      if (!isPassing(error)) throw error
      return { where: whereOf(positions), why: reasonOf(error) }
    }
    const versions = new Map(asked.map(({ position, version }) => [position, version]))
    let trouble: Trouble | undefined
    for (const answer of answers) {
      const position = this.#positions.get(partitionKey(answer))
      // Sought or given away since.
      if (position === undefined || versions.get(position) !== position.version) continue
      trouble = this.#absorb(position, answer) ?? trouble
    }
    return trouble
  }

  async #ask(leader: number, positions: readonly Position[]): Promise<readonly FetchedPartition[]> {
    const { view, links, settings } = this.#deps
    const address = view.node(leader)
    if (address === undefined) throw new PassingError(`Broker ${leader} is not known.`)
    const link = links.ready(address) ?? (await links.to(address))
    const from = positions.map(({ topic, partition, offset }) => ({ topic, partition, position: offset }))
    return link.send(
      fetchRequest(from, {
        isolation: this.#options.isolation,
        maxWaitMs: settings.maxFetchWaitMs,
        maxBytes: settings.maxFetchBytes,
        maxPartitionBytes: this.#options.maxPartitionBytes,
      }),
    )
  }

  #absorb(position: Position, fetched: FetchedPartition): Trouble | undefined {
    const { codecs, settings } = this.#deps
    const answer = readAnswer(fetched, position.offset, {
      isolation: this.#options.isolation,
      codecs: codecs(),
      verifyChecksums: settings.verifyChecksums,
      maxUnpackedBytes: settings.maxUnpackedBytes,
    })
    if (answer.kind === 'unknown') return this.#troubleWithout([position])
    if (answer.kind === 'trouble') return { where: partitionKey(position), why: answer.why }
    if (answer.kind === 'out of range') {
      void this.#outOfRange(position)
      return undefined
    }
    position.looksMissing = 0
    if (answer.kind === 'data') {
      position.fetched = { set: answer.set, endOffset: answer.endOffset, decoded: undefined }
      position.servedAt = ++this.#answers
      if (!position.paused) this.#fetched.add(position)
    }
    return undefined
  }

  /** Tells whoever decides where reading goes on. */
  async #outOfRange(position: Position): Promise<void> {
    const { version } = position
    const { onOutOfRange, signal } = this.#deps
    position.active = false
    try {
      const lost = await findRange(position, this.#deps)
      if (position.version !== version || !this.#isCurrent(position)) return
      onOutOfRange(lost)
    } catch (error) {
      if (signal.aborted) return
      this.fail(toError(error))
    }
    this.#stream.wake()
  }

  /** Partitions without a leader are mostly those of topics that nobody has asked for yet. */
  async #lookUp(positions: readonly Position[]): Promise<Trouble | undefined> {
    const { view } = this.#deps
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
    countMissing(positions, this.#deps.view)
    return { where: whereOf(positions), why: 'It has no leader.' }
  }

  /** Not given away since, nor given back anew. */
  #isCurrent(position: Position): boolean {
    return this.#positions.get(partitionKey(position)) === position
  }
}
