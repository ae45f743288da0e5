import type { ClusterView } from '../cluster/cluster-view.ts'
import type { Isolation } from '@millrace/core/driver'
import type { Position } from './position.ts'
import { isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { RecordSet, type RecordSetOptions } from '../wire/record-set.ts'
import type { FetchedPartition } from '../wire/requests/fetch.ts'

/**
 * Which brokers to ask now, and for which partitions. A broker is left alone while it has not answered, and while
 * anything of its last answer waits to be taken. So at most one answer per broker is held, and fetching continues while
 * the last batch is being processed. Partitions without a leader come under the leader that they have, -1.
 *
 * A broker fills its answer in the order of the request. So what has gone without records for longest comes first, by
 * each partition's own mark: a rotation shared by brokers that answer in turn would show each of them every other turn.
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

/** What a broker's answer for a partition means to its reader. */
export type Answer =
  /** Something to decode, and the end of the log under this isolation. */
  | { readonly kind: 'data'; readonly set: RecordSet; readonly endOffset: number }
  | { readonly kind: 'nothing new' }
  /** The topic does not have the position. */
  | { readonly kind: 'out of range' }
  /** The broker does not know the partition. */
  | { readonly kind: 'unknown' }
  /** Passes by itself, or once the metadata is refreshed. */
  | { readonly kind: 'trouble'; readonly why: string }

export interface ReadAnswerOptions extends Omit<RecordSetOptions, 'position' | 'aborted'> {
  readonly isolation: Isolation
}

/** Throws a permanent error, naming topic, partition and offset. Nothing is decoded yet. */
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
 * The bytes of one partition, without the rest of the answer that they came in: a few unfinished records of a slow
 * partition would keep the memory of all others that were fetched with them. Copied only where they are less than half.
 */
export function ownBytes(data: Buffer): Buffer {
  if (data.length * 2 >= data.buffer.byteLength) return data
  // Of its own: Node takes small buffers from a pool, of which one would keep all (64 kB since Node 24).
  const own = Buffer.allocUnsafeSlow(data.length)
  data.copy(own)
  return own
}
