import type { CommitOffset, OutgoingRecord, TopicPartition } from './record.ts'

/** The outcome of a record that was sent: one for each record of the request, in order. */
export type SendOutcome =
  | {
      readonly ok: true
      /** -1 if the broker has the record but does not report its offset. */
      readonly offset: number
    }
  | {
      readonly ok: false
      /** Permanently refused: `RECORD_TOO_LARGE`, `TOPIC_MISSING`, `PARTITION_MISSING`, `NOT_AUTHORIZED`, … */
      readonly error: Error
    }

export interface SendOptions {
  /**
   * Called before each request, including resends, and by a log in this process also right before it writes. An error that
   * it throws rejects the send without a further request (the lease).
   */
  readonly guard: () => void
  /**
   * If given, the send does not wait for partitions that accept no records at present: each is passed to this function
   * once, before the send resolves, and the driver keeps trying. The result of the send has gaps for their records.
   * Without it a send waits for all its partitions.
   */
  readonly onDelayed?: (delayed: DelayedPartition) => void
}

/** A partition of a send that accepts no records at present: it has no leader, too few replicas, or its broker is away. */
export interface DelayedPartition extends TopicPartition {
  /** The reason in words, as of the last attempt. */
  readonly reason: string
  /**
   * Outcomes of its records, in order, once all of them are acknowledged or permanently refused; that may take any
   * time. Rejects like the send, and the records may then be stored or not.
   */
  readonly outcomes: Promise<readonly SendOutcome[]>
}

/**
 * Stores batches. The caller (the record collector) keeps at most one `send` in flight per broker and gathers meanwhile; the driver
 * splits a batch into requests by count and bytes and keeps the order per partition.
 */
export interface Producer {
  /** Number of partitions of a topic, cached; rejects with `TOPIC_MISSING` if the topic does not exist. */
  partitions(topic: string): Promise<number>
  /**
   * The broker that leads the partition; records of one broker go in one request. A node id on Kafka, 0 for a log
   * without brokers. May change over time.
   */
  brokerOf(partition: TopicPartition): number
  /**
   * Resolves when every record is acknowledged or permanently refused. Rejects only by `guard`, `CLOSED` or a fatal
   * error. A request whose answer was lost is sent again, and its records are stored once, in the order of the sends to
   * their partition. After `guard` has ended a send, or a delayed partition of it, the caller may send its records
   * again: the same objects, in the same order, before other records for their partitions. Records that were stored are
   * not stored again.
   */
  send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]>
  /** Waits at most 5 s for sends in flight. */
  close(): Promise<void>
}

/** One transaction at a time: `begin`, sends, `sendOffsets`, `commit` or `abort`. Calls never overlap, but sends to several brokers may. */
export interface TransactionalProducer extends Producer {
  /**
   * Fences every earlier producer of this id and ends its open transaction. Must be called before anything else, and
   * only once.
   */
  init(): Promise<void>
  begin(): Promise<void>
  /** Offsets that become committed with the transaction. */
  sendOffsets(groupId: string, offsets: readonly CommitOffset[]): Promise<void>
  /**
   * Rejects with `PRODUCER_FENCED` if another producer of this id was initialised (or the transaction timed out). After
   * any rejection the producer must be closed and a new one made. The committed offset, read after the next `init`,
   * shows whether the commit took effect.
   */
  commit(): Promise<void>
  abort(): Promise<void>
}
