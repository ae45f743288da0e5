import { isMillraceError, MillraceError, toError, type Isolation, type RecordBatch } from '@millrace/core'
import type { CompressionCodecs } from '../compression/compression.ts'
import { isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { decodeRecordSet } from '../wire/decode-record-set.ts'
import type { FetchedPartition } from '../wire/requests/fetch.ts'
import { ownBytes } from './own-bytes.ts'

/** What a broker's answer for a partition means for whoever reads it. */
export type Answer =
  /** Records, or at least a new position. */
  | { readonly kind: 'batch'; readonly batch: RecordBatch }
  | { readonly kind: 'nothing new' }
  /** The topic does not have the position. */
  | { readonly kind: 'out of range' }
  /** The broker does not know the partition. */
  | { readonly kind: 'unknown' }
  /** Passes by itself, or after a look at the metadata. */
  | { readonly kind: 'trouble'; readonly why: string }
  /** What came does not match its checksum. It may be whole when it is fetched again. */
  | { readonly kind: 'damaged'; readonly error: MillraceError }

export interface AnswerOptions {
  readonly isolation: Isolation
  readonly codecs: CompressionCodecs
  readonly verifyChecksums: boolean
}

/** Throws what is for good, naming topic, partition and offset. */
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
  try {
    const { records, nextOffset, bytes } = decodeRecordSet(ownBytes(answer.data), {
      position,
      aborted: answer.aborted,
      ...options,
    })
    if (nextOffset === position) return { kind: 'nothing new' }
    const endOffset = options.isolation === 'read-committed' ? answer.lastStableOffset : answer.highWatermark
    return { kind: 'batch', batch: { topic, partition, position, records, nextOffset, bytes, endOffset } }
  } catch (thrown) {
    const error = located(thrown, answer, position)
    if (error.code === 'BATCH_CORRUPT') return { kind: 'damaged', error }
    throw error
  }
}

function located(thrown: unknown, { topic, partition }: FetchedPartition, position: number): MillraceError {
  const [code, detail] = isMillraceError(thrown)
    ? ([thrown.code, thrown.detail] as const)
    : (['DECODE_FAILED', toError(thrown).message] as const)
  return new MillraceError(code, `Topic "${topic}" partition ${partition} near offset ${position}: ${detail}`, {
    cause: thrown,
  })
}
