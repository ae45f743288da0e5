import type { Isolation } from '@millrace/core'
import { isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { RecordSet, type RecordSetOptions } from '../wire/record-set.ts'
import type { FetchedPartition } from '../wire/requests/fetch.ts'
import { ownBytes } from './own-bytes.ts'

/** What a broker's answer for a partition means for whoever reads it. */
export type Answer =
  /** Something to decode, and the end of the log for whoever reads with this isolation. */
  | { readonly kind: 'data'; readonly set: RecordSet; readonly endOffset: number }
  | { readonly kind: 'nothing new' }
  /** The topic does not have the position. */
  | { readonly kind: 'out of range' }
  /** The broker does not know the partition. */
  | { readonly kind: 'unknown' }
  /** Passes by itself, or after a look at the metadata. */
  | { readonly kind: 'trouble'; readonly why: string }

export interface AnswerOptions extends Omit<RecordSetOptions, 'position' | 'aborted'> {
  readonly isolation: Isolation
}

/** Throws what is for good, naming topic, partition and offset. Nothing is decoded yet. */
export function readAnswer(answer: FetchedPartition, position: number, options: AnswerOptions): Answer {
  const { topic, partition, errorCode } = answer
  if (errorCode === KafkaCode.offsetOutOfRange) return { kind: 'out of range' }
  if (errorCode === KafkaCode.unknownTopicOrPartition) return { kind: 'unknown' }
  if (isRetriable(errorCode)) return { kind: 'trouble', why: `Kafka answered ${kafkaErrorName(errorCode)}.` }
  if (errorCode !== KafkaCode.ok) {
    const what = `Partition ${topic}/${partition} cannot be read at offset ${position}.`
    throw kafkaError(errorCode, what, 'WORKER_FAILED')
  }
  if (answer.data.length === 0) return { kind: 'nothing new' }
  const set = new RecordSet(ownBytes(answer.data), { position, aborted: answer.aborted, ...options })
  const endOffset = options.isolation === 'read-committed' ? answer.lastStableOffset : answer.highWatermark
  return { kind: 'data', set, endOffset }
}
