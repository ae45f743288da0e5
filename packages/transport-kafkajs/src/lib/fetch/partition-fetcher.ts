import {
  deferred,
  isMillraceError,
  MillraceError,
  toError,
  type Deferred,
  type Isolation,
  type RecordBatch,
  type TopicPartition,
} from '@millrace/core'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import type { PartContext } from '../cluster/part-context.ts'
import { isPassing, reasonOf } from '../cluster/retrying.ts'
import { isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { decodeRecordSet } from '../wire/decode-record-set.ts'
import { fetchRequest, type FetchedPartition } from '../wire/requests/fetch.ts'

export interface FetcherOptions {
  readonly isolation: Isolation
  readonly maxPartitionBytes: number
}

export interface FetcherDeps extends Pick<PartContext, 'settings' | 'view' | 'recovery' | 'codecs'> {
  readonly links: BrokerLinks
  /** Aborts when the part is closed. */
  readonly signal: AbortSignal
}

/** A topic that the metadata does not show for so many looks in a row is taken for deleted. */
const LOOKS_UNTIL_MISSING = 10
const NO_LEADER = -1

/** A partition being read. */
interface Position extends TopicPartition {
  /** Next offset to fetch. */
  offset: number
  /** False until the first `seek`. */
  active: boolean
  paused: boolean
  /** Counts seeks, so that what was asked for before one is not taken for an answer to it. */
  version: number
  /** Fetched and not handed out. While there is one, the partition is left out of fetches. */
  batch: RecordBatch | undefined
  looksMissing: number
  /** Of the topic when it was first read: offsets of one that was made again mean other records. */
  topicId: string | undefined
}

/**
 * Fetches any number of partitions, one request at a time per broker, and hands out what came, batch by batch. The next
 * request to a broker goes out when the last batch of its previous answer is taken: so at most one answer per broker
 * waits here, and fetching goes on while the last batch is being worked on. A paused partition keeps what was fetched
 * of it and is left out of requests.
 */
export class PartitionFetcher {
  readonly #options: FetcherOptions
  readonly #deps: FetcherDeps
  readonly #positions = new Map<string, Position>()
  readonly #ready: Position[] = []
  readonly #fetching = new Set<number>()
  #waiting: Deferred<IteratorResult<RecordBatch, undefined>> | undefined
  #failure: Error | undefined
  #ended = false
  #turn = 0

  constructor(options: FetcherOptions, deps: FetcherDeps) {
    this.#options = options
    this.#deps = deps
  }

  /** Makes a partition known; nothing is fetched before `seek`. */
  add(partition: TopicPartition): void {
    const { topic, partition: number } = partition
    this.#deps.view.want([topic])
    this.#positions.set(keyOf(topic, number), {
      topic,
      partition: number,
      offset: 0,
      active: false,
      paused: false,
      version: 0,
      batch: undefined,
      looksMissing: 0,
      topicId: undefined,
    })
  }

  remove(partition: TopicPartition): void {
    this.#positions.delete(keyOf(partition.topic, partition.partition))
  }

  has(partition: TopicPartition): boolean {
    return this.#positions.has(keyOf(partition.topic, partition.partition))
  }

  /** Drops what was fetched and goes on at `offset`. Ignored for partitions that are not known. */
  seek(partition: TopicPartition, offset: number): void {
    const position = this.#positions.get(keyOf(partition.topic, partition.partition))
    if (position === undefined) return
    position.offset = offset
    position.active = true
    position.version++
    position.batch = undefined
    this.#wake()
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) {
      const position = this.#positions.get(keyOf(topic, partition))
      if (position !== undefined) position.paused = true
    }
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) {
      const position = this.#positions.get(keyOf(topic, partition))
      if (position === undefined || !position.paused) continue
      position.paused = false
      if (position.batch !== undefined) this.#ready.push(position)
    }
    this.#wake()
  }

  /** To be iterated once. */
  batches(): AsyncIterable<RecordBatch> {
    const iterator: AsyncIterator<RecordBatch, undefined> = {
      next: () => this.#next(),
      return: () => {
        this.end()
        return Promise.resolve({ value: undefined, done: true })
      },
    }
    return { [Symbol.asyncIterator]: () => iterator }
  }

  /** Makes `batches()` throw. The first failure counts. */
  fail(error: Error): void {
    if (this.#ended || this.#failure !== undefined) return
    this.#failure = error
    if (this.#waiting === undefined) return
    this.#ended = true
    this.#waiting.reject(error)
    this.#waiting = undefined
  }

  /** Ends `batches()`. */
  end(): void {
    this.#ended = true
    this.#waiting?.resolve({ value: undefined, done: true })
    this.#waiting = undefined
  }

  #next(): Promise<IteratorResult<RecordBatch, undefined>> {
    if (this.#ended) return Promise.resolve({ value: undefined, done: true })
    if (this.#failure !== undefined) {
      this.#ended = true
      return Promise.reject(this.#failure)
    }
    const batch = this.#take()
    if (batch !== undefined) {
      this.#fetchMore()
      return Promise.resolve({ value: batch, done: false })
    }
    this.#waiting ??= deferred()
    this.#fetchMore()
    return this.#waiting.promise
  }

  #take(): RecordBatch | undefined {
    for (let position = this.#ready.shift(); position !== undefined; position = this.#ready.shift()) {
      const { batch } = position
      // Paused, sought or given away since: `resume` puts a paused one back.
      if (
        batch === undefined ||
        position.paused ||
        this.#positions.get(keyOf(position.topic, position.partition)) !== position
      )
        continue
      position.batch = undefined
      return batch
    }
    return undefined
  }

  /** Hands a batch to whoever waits, or fetches for them. */
  #wake(): void {
    if (this.#waiting === undefined) return
    const batch = this.#take()
    if (batch !== undefined) {
      this.#waiting.resolve({ value: batch, done: false })
      this.#waiting = undefined
    }
    this.#fetchMore()
  }

  #fetchMore(): void {
    if (this.#ended || this.#failure !== undefined) return
    const wanted = new Map<number, Position[]>()
    const holding = new Set<number>()
    for (const position of this.#positions.values()) {
      if (!position.active || position.paused) continue
      const leader = this.#deps.view.leader(position)
      if (position.batch !== undefined) {
        holding.add(leader)
        continue
      }
      const list = wanted.get(leader)
      if (list === undefined) wanted.set(leader, [position])
      else list.push(position)
    }
    for (const [leader, positions] of wanted) {
      if (!holding.has(leader) && !this.#fetching.has(leader)) void this.#fetch(leader, positions)
    }
  }

  async #fetch(leader: number, positions: readonly Position[]): Promise<void> {
    this.#fetching.add(leader)
    try {
      const trouble = leader === NO_LEADER ? await this.#lookUp(positions) : await this.#fetchFrom(leader, positions)
      if (trouble !== undefined)
        await this.#deps.recovery.wait(`reading ${trouble.where}`, trouble.why, this.#deps.signal)
    } catch (error) {
      if (this.#deps.signal.aborted) return
      this.fail(toError(error))
    } finally {
      this.#fetching.delete(leader)
    }
    this.#wake()
  }

  async #fetchFrom(leader: number, positions: readonly Position[]): Promise<Trouble | undefined> {
    const { view, links, settings } = this.#deps
    // The broker fills its answer in the order of the request: each gets its turn to be first.
    const first = this.#turn++ % positions.length
    const ordered = first === 0 ? positions : [...positions.slice(first), ...positions.slice(0, first)]
    for (const position of ordered) this.#requireSameTopic(position)
    const asked = new Map(ordered.map((position) => [position, position.version]))
    try {
      const address = view.node(leader)
      if (address === undefined) return { where: whereOf(positions), why: `Broker ${leader} is not known.` }
      const link = links.ready(address) ?? (await links.to(address))
      const answers = await link.send(
        fetchRequest(
          ordered.map(({ topic, partition, offset }) => ({ topic, partition, position: offset })),
          {
            isolation: this.#options.isolation,
            maxWaitMs: settings.maxFetchWaitMs,
            maxBytes: settings.maxFetchBytes,
            maxPartitionBytes: this.#options.maxPartitionBytes,
          },
        ),
      )
      let trouble: Trouble | undefined
      for (const answer of answers) {
        const position = this.#positions.get(keyOf(answer.topic, answer.partition))
        if (position === undefined || asked.get(position) !== position.version) continue
        trouble = this.#absorb(position, answer) ?? trouble
      }
      return trouble
    } catch (error) {
      if (!isPassing(error)) throw error
      return { where: whereOf(positions), why: reasonOf(error) }
    }
  }

  #requireSameTopic(position: Position): void {
    const id = this.#deps.view.topic(position.topic)?.id
    position.topicId ??= id
    if (id !== undefined && id !== position.topicId)
      throw new MillraceError(
        'TOPIC_MISSING',
        `Topic "${position.topic}" was deleted and created again while it was read.`,
      )
  }

  #absorb(position: Position, answer: FetchedPartition): Trouble | undefined {
    const where = `${position.topic}/${position.partition}`
    if (answer.errorCode !== KafkaCode.ok) {
      if (answer.errorCode === KafkaCode.unknownTopicOrPartition) return this.#troubleWithout([position])
      if (isRetriable(answer.errorCode)) return { where, why: `Kafka answered ${kafkaErrorName(answer.errorCode)}.` }
      const what = `Partition ${where} cannot be read at offset ${position.offset}.`
      throw kafkaError(answer.errorCode, what, 'WORKER_FAILED')
    }
    position.looksMissing = 0
    if (answer.data.length === 0) return undefined
    const { records, nextOffset, bytes } = this.#decode(position, answer)
    if (nextOffset === position.offset) return undefined
    position.offset = nextOffset
    const endOffset = this.#options.isolation === 'read-committed' ? answer.lastStableOffset : answer.highWatermark
    position.batch = { topic: position.topic, partition: position.partition, records, nextOffset, bytes, endOffset }
    if (!position.paused) this.#ready.push(position)
    return undefined
  }

  #decode(position: Position, answer: FetchedPartition): ReturnType<typeof decodeRecordSet> {
    try {
      return decodeRecordSet(answer.data, {
        position: position.offset,
        isolation: this.#options.isolation,
        aborted: answer.aborted,
        codecs: this.#deps.codecs(),
      })
    } catch (error) {
      const code = isMillraceError(error) ? error.code : 'DECODE_FAILED'
      const detail = isMillraceError(error) ? error.detail : toError(error).message
      throw new MillraceError(
        code,
        `Topic "${position.topic}" partition ${position.partition} near offset ${position.offset}: ${detail}`,
        { cause: error },
      )
    }
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

  /** A partition whose topic stays away from the metadata is an error in the end: it was deleted. */
  #troubleWithout(positions: readonly Position[]): Trouble {
    for (const position of positions) {
      if (this.#deps.view.topic(position.topic) !== undefined) continue
      const refusal = this.#deps.view.refusal(position.topic)
      if (refusal !== undefined) throw refusal
      if (++position.looksMissing > LOOKS_UNTIL_MISSING)
        throw new MillraceError('TOPIC_MISSING', `Topic "${position.topic}" does not exist.`)
    }
    return { where: whereOf(positions), why: 'It has no leader.' }
  }
}

interface Trouble {
  readonly where: string
  readonly why: string
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

function whereOf(positions: readonly Position[]): string {
  const [first] = positions
  if (first === undefined) return 'nothing'
  const more = positions.length > 1 ? ` and ${positions.length - 1} more` : ''
  return `${first.topic}/${first.partition}${more}`
}
