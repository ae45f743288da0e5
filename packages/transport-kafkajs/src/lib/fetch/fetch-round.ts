import type { ClusterView } from '../cluster/cluster-view.ts'
import type { Isolation } from '@millrace/core/driver'
import type { Position } from './position.ts'
import { isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { RecordSet, type RecordSetOptions } from '../wire/record-set.ts'
import type { FetchedPartition } from '../wire/requests/fetch.ts'

/**
 * Plans which brokers to ask now, and for which partitions. A broker is skipped while its answer is pending, and while
 * anything of its last answer waits to be taken. So at most one answer per broker is held, and fetching continues while
 * the last batch is processed. Partitions without a leader are listed under leader -1.
 *
 * A broker fills its answer in the order of the request. So the partition that has had no records for longest comes
 * first, by a mark of its own. A rotation shared by brokers that answer in turn would show each of them only every
 * other turn.
 */
export function planFetches(
  positions: Iterable<Position>,
  view: Pick<ClusterView, 'leader'>,
  fetching: ReadonlySet<number>,
): ReadonlyMap<number, readonly Position[]> {
  const wanted = new Map<number, Position[]>()
  const holding = new Set<number>()
  for (const position of positions) {
    if (!position.active || position.paused) continue
    const broker = view.leader(position)
    if (position.fetched !== undefined) {
      holding.add(broker)
      continue
    }
    const list = wanted.get(broker)
    if (list === undefined) wanted.set(broker, [position])
    else list.push(position)
  }
  for (const [broker, list] of wanted) {
    if (holding.has(broker) || fetching.has(broker)) wanted.delete(broker)
    else list.sort((a, b) => a.servedAt - b.servedAt)
  }
  return wanted
}

/** The meaning of a broker's answer about a partition for its reader. */
export type Answer =
  /** Something to decode, and the end of the log under this isolation. */
  | { readonly kind: 'data'; readonly set: RecordSet; readonly endOffset: number }
  | { readonly kind: 'nothing new' }
  /** The topic does not have the position. */
  | { readonly kind: 'out of range' }
  /** The broker does not know the partition. */
  | { readonly kind: 'unknown' }
  /** A temporary failure, or one that refreshed metadata solves. */
  | { readonly kind: 'trouble'; readonly why: string }

export interface ReadAnswerOptions extends Omit<RecordSetOptions, 'position' | 'aborted'> {
  readonly isolation: Isolation
}

/** Throws a permanent error that names topic, partition and offset. Nothing is decoded yet. */
export function readAnswer(answer: FetchedPartition, position: number, options: ReadAnswerOptions): Answer {
  const { topic, partition, errorCode } = answer
  if (errorCode === KafkaCode.offsetOutOfRange) return { kind: 'out of range' }
  if (errorCode === KafkaCode.unknownTopicOrPartition) return { kind: 'unknown' }
  if (isRetriable(errorCode)) return { kind: 'trouble', why: `Kafka answered ${kafkaErrorName(errorCode)}.` }
  if (errorCode !== KafkaCode.ok) {
    const what = `Partition ${topic}/${partition} cannot be read at offset ${position}.`
    throw kafkaError(errorCode, what, 'WORKER_FAILED', 'Read')
  }
  if (answer.data.length === 0) return { kind: 'nothing new' }
  const set = new RecordSet(ownBytes(answer.data), { position, aborted: answer.aborted, ...options })
  const endOffset = options.isolation === 'read-committed' ? answer.lastStableOffset : answer.highWatermark
  return { kind: 'data', set, endOffset }
}

/**
 * The bytes of one partition, without the rest of their answer: otherwise a few unfinished records of a slow partition
 * would keep the memory of everything fetched with them. Copied only if they are less than half of the answer.
 */
export function ownBytes(data: Buffer): Buffer {
  if (data.length * 2 >= data.buffer.byteLength) return data
  // Allocated outside of Node's pool for small buffers, because one of those would keep the whole pool (64 kB since
  // Node 24).
  const own = Buffer.allocUnsafeSlow(data.length)
  data.copy(own)
  return own
}
