import {
  type Clock,
  grouped,
  isMillraceError,
  MillraceError,
  type OutgoingRecord,
  replayLedgerTopic,
  type TopicPartition,
} from '@millrace/core'
import type { Admin, TopicInfo, TransactionalProducer, Transport } from '@millrace/core/driver'
import type { DeadLetterSummary, RefusedReplay, ReplayOutcome } from '@millrace/core/operations'
import { idOfPlace, replayMark, withReplayMark } from '../events/replay-mark.ts'
import { dueReplayTopic } from './due-letter.ts'
import type { LetterRecord } from './letter-record.ts'
import type { ReplayLedger } from './replay-ledger.ts'

export interface ReplayOptions {
  readonly appId: string
  readonly transport: Pick<Transport, 'transactionalProducer'>
  readonly admin: Pick<Admin, 'topics'>
  readonly clock: Clock
}

export interface ReplayJob {
  readonly agent: string
  /** The topics that the agent reads; letters go back only to them. */
  readonly topics: ReadonlySet<string>
  /** The dead letter topic. */
  readonly info: TopicInfo
  readonly signal: AbortSignal | undefined
  readonly readLedger: () => Promise<ReplayLedger>
  /** Letters to replay, including those replayed before. */
  readonly letters: (ledger: ReplayLedger) => AsyncIterable<LetterRecord>
}

/** Most letters in one transaction. */
const CHUNK_LETTERS = 500
const CHUNK_BYTES = 512 * 1024
const TRANSACTION_LIMIT_MS = 20_000
/** Most refused letters reported one by one. */
const REFUSED_SHOWN = 20

/** Sends letters back in chunks. One transaction holds a chunk's records and the note that they were replayed. */
export async function replayLetters(options: ReplayOptions, job: ReplayJob): Promise<ReplayOutcome> {
  const { appId, transport } = options
  const producer = transport.transactionalProducer({ id: replayLedgerTopic(appId), timeoutMs: TRANSACTION_LIMIT_MS })
  try {
    // Aborts and fences an earlier replay, so that two concurrent replays send nothing twice.
    await producer.init()
    return await new Replay(options, job, producer).run(await job.readLedger())
  } catch (error) {
    if (!isMillraceError(error, 'PRODUCER_FENCED')) throw error
    throw new MillraceError('PRODUCER_FENCED', `Another replay of the app "${appId}" has begun meanwhile.`, {
      cause: error,
    })
  } finally {
    await producer.close()
  }
}

/** Why a letter cannot go back. */
type Obstacle = Omit<RefusedReplay, 'partition' | 'offset'>

class Replay {
  readonly #options: ReplayOptions
  readonly #job: ReplayJob
  readonly #producer: TransactionalProducer
  readonly #targets = new Map<string, TopicInfo | undefined>()
  readonly #refused: RefusedReplay[] = []
  #refusedCount = 0
  #replayed = 0
  #before = 0

  constructor(options: ReplayOptions, job: ReplayJob, producer: TransactionalProducer) {
    this.#options = options
    this.#job = job
    this.#producer = producer
  }

  async run(ledger: ReplayLedger): Promise<ReplayOutcome> {
    let chunk: LetterRecord[] = []
    let bytes = 0
    for await (const letter of this.#job.letters(ledger)) {
      if (letter.summary.replayed) this.#before++
      else if (await this.#canGoBack(letter)) {
        chunk.push(letter)
        bytes += (letter.record.key?.length ?? 0) + (letter.record.value?.length ?? 0)
      }
      if (chunk.length < CHUNK_LETTERS && bytes < CHUNK_BYTES) continue
      await this.#send(chunk, ledger)
      chunk = []
      bytes = 0
    }
    await this.#send(chunk, ledger)
    return {
      replayed: this.#replayed,
      before: this.#before,
      refused: { count: this.#refusedCount, first: this.#refused },
    }
  }

  async #canGoBack({ summary, trimmed }: LetterRecord): Promise<boolean> {
    const { partition, offset } = summary
    const obstacle = trimmed === '' ? await this.#obstacle(summary) : obstacleOfTrimmed(summary, trimmed)
    if (obstacle === undefined) return true
    this.#refusedCount++
    if (this.#refused.length < REFUSED_SHOWN) this.#refused.push({ partition, offset, ...obstacle })
    return false
  }

  async #obstacle(summary: DeadLetterSummary): Promise<Obstacle | undefined> {
    const place = this.#targetOf(summary)
    if (place === undefined) return { reason: summary.failure.message || 'It does not say where it came from.' }
    const { topic, partition } = place
    if (!this.#targets.has(topic)) this.#targets.set(topic, (await this.#options.admin.topics([topic]))[0])
    const target = this.#targets.get(topic)
    const { agent, topics } = this.#job
    const { due } = summary
    if (due !== undefined && (target === undefined || !topics.has(topic)))
      return {
        code: 'DEAD_LETTER_UNREAD',
        reason: `It was due in "${due.state}" (${due.kind}), and agent "${agent}" does not read what is due there.`,
      }
    if (target === undefined)
      return { reason: `There is no topic "${topic}" any more, or it was a channel of a worker.` }
    // Anybody may have written the letter's headers, including somebody without the right to write to other topics.
    if (!topics.has(topic))
      return {
        code: 'DEAD_LETTER_FOREIGN',
        reason: `It says that it came from topic "${topic}", which agent "${agent}" does not read.`,
      }
    if (partition >= 0 && partition < target.partitions) return undefined
    return { reason: `Topic "${topic}" has no partition ${partition} any more: it has ${target.partitions}.` }
  }

  /** Where it goes; `undefined` if it does not say where it came from. */
  #targetOf({ source, due }: DeadLetterSummary): TopicPartition | undefined {
    if (due === undefined) return source
    return { topic: dueReplayTopic(this.#options.appId, this.#job.agent, due.state), partition: due.partition }
  }

  async #send(chunk: readonly LetterRecord[], ledger: ReplayLedger): Promise<void> {
    if (chunk.length === 0) return
    const { info } = this.#job
    const timestamp = this.#options.clock.now()
    const letters = grouped(
      chunk.map(({ summary }) => summary),
      ({ partition }) => partition,
    )
    const notes = [...letters].map(([partition, ofIt]) => ({
      ...ledger.note(
        info,
        partition,
        ofIt.map(({ offset }) => offset),
      ),
      timestamp,
    }))
    // Sleeps only between transactions, because an open one blocks every reader of committed records.
    this.#job.signal?.throwIfAborted()
    await this.#producer.begin()
    try {
      await this.#sendAll([...chunk.map((letter) => this.#outgoing(letter)), ...notes])
    } catch (error) {
      await this.#abort()
      throw error
    }
    await this.#producer.commit()
    this.#replayed += chunk.length
  }

  /** If the abort fails too, the broker aborts the transaction at its time-out. */
  async #abort(): Promise<void> {
    try {
      await this.#producer.abort()
    } catch {
      // The caller throws the original failure.
    }
  }

  #outgoing({ summary, id, own, record }: LetterRecord): OutgoingRecord {
    const target = this.#targetOf(summary)
    const { source, due } = summary
    const timestamp = source?.timestamp ?? due?.at
    if (target === undefined || timestamp === undefined)
      throw new Error('A letter without a source was to be sent back.')
    const { topic, partition } = target
    const first = id ?? (source && idOfPlace(source))
    const { key, value } = record
    const mark = replayMark(this.#options.appId, this.#job.agent, topic)
    return { topic, partition, key, value, headers: withReplayMark(own, mark, first), timestamp }
  }

  /** One request at a time for each broker, as producers require. */
  async #sendAll(records: readonly OutgoingRecord[]): Promise<void> {
    for (const topic of new Set(records.map(({ topic }) => topic))) await this.#producer.partitions(topic)
    for (const queue of grouped(records, (record) => this.#producer.brokerOf(record)).values()) {
      const outcomes = await this.#producer.send(queue, { guard: () => {} })
      for (const [i, outcome] of outcomes.entries()) {
        if (!outcome.ok) throw refused(queue[i], outcome.error)
      }
    }
  }
}

function refused(record: OutgoingRecord | undefined, cause: Error): MillraceError {
  const where = record === undefined ? 'A topic' : `${record.topic}/${record.partition}`
  return new MillraceError('RECORD_REFUSED', `${where} refused a replayed record.`, { cause })
}

function obstacleOfTrimmed({ source, due }: DeadLetterSummary, trimmed: string): Obstacle {
  const cause = `It was too large to be kept whole (${trimmed})`
  if (source === undefined)
    return { reason: `${cause}, and it was due in "${due?.state ?? ''}", which has it no more.` }
  const { topic, partition, offset } = source
  return { reason: `${cause}: its record is at ${topic}/${partition}@${offset}, as long as that keeps it.` }
}
