import {
  type Clock,
  MillraceError,
  NO_HEADERS,
  type OutgoingRecord,
  refuseNewer,
  replayLedgerTopic,
} from '@millrace/core'
import { type Admin, type PartitionOffsets, readToEnd, type TopicInfo, type Transport } from '@millrace/core/driver'
import { OffsetRanges } from './offset-ranges.ts'

/** Rows of earlier versions lack the format and have format 1. */
const FORMAT = 1

/** The replayed letters of one partition of a dead letter topic. */
interface LedgerEntry {
  /** `TopicInfo.id` of the dead letter topic: a new topic of the same name has other letters. */
  readonly topicId: string
  readonly ranges: OffsetRanges
}

export interface LedgerOptions {
  readonly appId: string
  readonly transport: Pick<Transport, 'reader'>
  readonly clock: Clock
  readonly admin: Pick<Admin, 'topics' | 'createTopics'>
}

/**
 * Records which letters were replayed, in a compacted topic of the app. Only the transactions of replays write it, so
 * it always matches the records sent. A single transactional id ensures that no foreign open transaction hides its
 * rows.
 */
export class ReplayLedger {
  readonly #topic: string
  readonly #entries: Map<string, LedgerEntry>

  private constructor(topic: string, entries: Map<string, LedgerEntry>) {
    this.#topic = topic
    this.#entries = entries
  }

  static async read({ appId, admin, transport, clock }: LedgerOptions, signal?: AbortSignal): Promise<ReplayLedger> {
    const topic = replayLedgerTopic(appId)
    const entries = new Map<string, LedgerEntry>()
    if ((await admin.topics([topic])).length === 0) return new ReplayLedger(topic, entries)
    const reader = transport.reader({ isolation: 'read-committed' })
    for await (const { records } of readToEnd(reader, [{ topic, partition: 0 }], { clock, signal }))
      for (const { key, value } of records)
        if (key !== null && value !== null) entries.set(key.toString('utf8'), readEntry(value, topic))
    return new ReplayLedger(topic, entries)
  }

  /** Before the first replay. */
  static async create({ appId, admin }: LedgerOptions): Promise<void> {
    const name = replayLedgerTopic(appId)
    if ((await admin.topics([name])).length > 0) return
    const config = { 'cleanup.policy': 'compact' }
    await admin.createTopics([{ name, partitions: 1, replicationFactor: -1, config }])
  }

  /** The replayed letters of a partition. Forgets those of an earlier topic of the same name. */
  of(topic: TopicInfo, { partition, beginning, end }: Omit<PartitionOffsets, 'topic'>): OffsetRanges {
    const key = rowKey(topic.name, partition)
    const entry = this.#entries.get(key)
    if (entry === undefined) return OffsetRanges.none
    // On a broker without topic ids: more offsets were replayed than the topic has.
    if (entry.topicId !== topic.id || entry.ranges.last >= end) {
      this.#entries.delete(key)
      return OffsetRanges.none
    }
    // Deleted letters need no ranges of their own.
    const ranges = entry.ranges.withAllBelow(beginning)
    this.#entries.set(key, { topicId: topic.id, ranges })
    return ranges
  }

  /** Marks letters as replayed: the record belongs to the transaction that sends them. */
  note(topic: TopicInfo, partition: number, offsets: readonly number[]): Omit<OutgoingRecord, 'timestamp'> {
    const key = rowKey(topic.name, partition)
    const ranges = (this.#entries.get(key)?.ranges ?? OffsetRanges.none).with(offsets)
    this.#entries.set(key, { topicId: topic.id, ranges })
    const value = JSON.stringify({ v: FORMAT, topicId: topic.id, replayed: ranges.toString() })
    return {
      topic: this.#topic,
      partition: 0,
      key: Buffer.from(key, 'utf8'),
      value: Buffer.from(value, 'utf8'),
      headers: NO_HEADERS,
    }
  }
}

function rowKey(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

function readEntry(value: Buffer, topic: string): LedgerEntry {
  const row: unknown = JSON.parse(value.toString('utf8'))
  if (typeof row === 'object' && row !== null && 'v' in row) refuseNewer(`A row of ${topic}`, row.v, FORMAT)
  if (typeof row === 'object' && row !== null && 'topicId' in row && 'replayed' in row) {
    const { topicId, replayed } = row
    const ranges = typeof replayed === 'string' ? OffsetRanges.parse(replayed) : undefined
    if (typeof topicId === 'string' && ranges !== undefined) return { topicId, ranges }
  }
  throw new MillraceError('ROW_UNDECODABLE', `A row of ${topic} cannot be read: ${value.toString('utf8', 0, 100)}`)
}
