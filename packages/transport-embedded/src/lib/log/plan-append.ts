import { MillraceError, type OutgoingRecord, partitionKey } from '@millrace/core'
import type { SendOutcome } from '@millrace/core/driver'
import type { LogReads, LogWrites, StoredTopic } from './log-backend.ts'
import { recordSize } from './record-size.ts'
import { numericSetting } from './topic-settings.ts'

interface PartitionAppend {
  readonly topic: StoredTopic
  readonly partition: number
  readonly records: OutgoingRecord[]
  /** The index of each record in the request. */
  readonly indexes: number[]
}

/** Which records are stored where, and the outcomes of those that are not stored. */
export interface AppendPlan {
  readonly appends: readonly PartitionAppend[]
  readonly outcomes: (SendOutcome | undefined)[]
}

/** Groups a request by partition, in its order, and refuses records that can never be stored. */
export function planAppend(log: LogReads, records: readonly OutgoingRecord[]): AppendPlan {
  const appends = new Map<string, PartitionAppend>()
  const topics = new Map<string, StoredTopic | undefined>()
  const outcomes: (SendOutcome | undefined)[] = records.map((record, index) => {
    if (!topics.has(record.topic)) topics.set(record.topic, log.topic(record.topic))
    const topic = topics.get(record.topic)
    const error = refusal(record, topic)
    if (error !== undefined || topic === undefined) return { ok: false, error: error ?? missing(record.topic) }
    const key = partitionKey(record)
    let append = appends.get(key)
    if (append === undefined)
      appends.set(key, (append = { topic, partition: record.partition, records: [], indexes: [] }))
    append.records.push(record)
    append.indexes.push(index)
    return undefined
  })
  return { appends: [...appends.values()], outcomes }
}

/** Writes what is planned and completes the outcomes. */
export function applyAppend(log: LogWrites, plan: AppendPlan): readonly SendOutcome[] {
  for (const { topic, partition, records, indexes } of plan.appends) {
    const base = log.append(topic, partition, records)
    indexes.forEach((index, nth) => (plan.outcomes[index] = { ok: true, offset: base + nth }))
  }
  return plan.outcomes.filter((outcome) => outcome !== undefined)
}

/** The error for a topic that does not exist. */
export function missing(topic: string): MillraceError {
  return new MillraceError('TOPIC_MISSING', `Topic "${topic}" does not exist in the local log.`)
}

/** The error for a partition that its topic does not have. */
export function missingPartition({ name, partitions }: StoredTopic, partition: number): MillraceError {
  return new MillraceError(
    'PARTITION_MISSING',
    `Topic "${name}" has ${partitions} partitions, not number ${partition}.`,
  )
}

function refusal(record: OutgoingRecord, topic: StoredTopic | undefined): MillraceError | undefined {
  if (topic === undefined) return missing(record.topic)
  const { partition } = record
  if (!Number.isInteger(partition) || partition < 0 || partition >= topic.partitions) {
    return missingPartition(topic, partition)
  }
  const bytes = recordSize(record)
  const most = numericSetting(topic, 'max.message.bytes')
  if (bytes <= most) return undefined
  return new MillraceError(
    'RECORD_TOO_LARGE',
    `A record of ${bytes} bytes for topic "${topic.name}" partition ${partition} is over max.message.bytes (${most}).`,
  )
}
