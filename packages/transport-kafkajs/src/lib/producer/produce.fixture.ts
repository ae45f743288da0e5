import { NO_HEADERS, type OutgoingRecord, type TopicPartition } from '@millrace/core'
import { RecordSet } from '../wire/record-set.ts'
import { readByTopic, writeByTopic } from '../wire/requests/request-fields.ts'
import type { WireReader } from '../wire/wire-reader.ts'
import { WireWriter } from '../wire/wire-writer.ts'

/** One partition's batch of a Produce request. */
export interface SentBatch extends TopicPartition {
  readonly producerId: number
  readonly epoch: number
  readonly first: number
  readonly transactional: boolean
  readonly values: readonly string[]
  readonly bytes: Buffer
}

/** A Produce request as a broker reads it. */
export interface SentProduce {
  readonly transactionalId: string | null
  readonly acks: number
  readonly timeoutMs: number
  readonly batches: readonly SentBatch[]
}

export function readProduce(request: WireReader): SentProduce {
  return {
    transactionalId: request.string(),
    acks: request.int16(),
    timeoutMs: request.int32(),
    batches: readByTopic(request, (topic) => ({ topic, ...readBatch(request.int32(), request.data()) })),
  }
}

function readBatch(partition: number, bytes: Buffer): Omit<SentBatch, 'topic'> {
  const decoded = new RecordSet(bytes, {
    position: 0,
    isolation: 'read-uncommitted',
    aborted: [],
    codecs: {},
    verifyChecksums: true,
    maxUnpackedBytes: 1 << 20,
  }).next()
  if (decoded instanceof Promise || decoded.kind === 'unreadable') throw new Error('The batch cannot be read.')
  return {
    partition,
    transactional: (bytes.readInt16BE(21) & 16) !== 0,
    producerId: Number(bytes.readBigInt64BE(43)),
    epoch: bytes.readInt16BE(51),
    first: bytes.readInt32BE(53),
    values: decoded.records.map(({ value }) => String(value)),
    bytes,
  }
}

/** What a broker says of one batch. */
export interface ProduceResult extends TopicPartition {
  readonly errorCode: number
  readonly baseOffset: number
  /** Places of the records that it refuses the batch for. */
  readonly badRecords?: readonly number[]
  readonly message?: string
}

/** The answer to a Produce request, behind its header. */
export function answerProduce(answer: WireWriter, results: readonly ProduceResult[]): WireWriter {
  writeByTopic(answer, results, ({ partition, errorCode, baseOffset, badRecords = [], message = null }) => {
    answer.int32(partition).int16(errorCode).int64(baseOffset).int64(-1).int64(0)
    answer.array(badRecords, (place) => answer.int32(place).string(null)).string(message)
  })
  return answer.int32(0)
}

/** A producer's identity, as InitProducerId gives it. */
export function producerId(id: number, epoch: number, errorCode = 0): WireWriter {
  return new WireWriter().int32(0).int16(errorCode).int64(id).int16(epoch)
}

export function record(value: string, partition = 0, topic = 't'): OutgoingRecord {
  return { topic, partition, key: null, value: Buffer.from(value), headers: NO_HEADERS, timestamp: 1 }
}
