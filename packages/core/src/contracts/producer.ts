import type { CommitOffset, OutgoingRecord, TopicPartition } from './record.ts'

/** What became of a record that was sent: one for each record of the request, in its order. */
export type SendOutcome =
  | {
      readonly ok: true
      /** -1 where the broker has the record and does not say where. */
      readonly offset: number
    }
  | {
      readonly ok: false
      /** `RECORD_TOO_LARGE`, `TOPIC_MISSING`, `PARTITION_MISSING`, `NOT_AUTHORIZED`, … : refused for good. */
      readonly error: Error
    }

export interface SendOptions {
  /** Called before each request, resends included; what it throws rejects the send without a further request (the lease). */
  readonly guard: () => void
  /**
   * When given, the send does not wait for partitions that take no records just now: each is passed to this function once,
   * before the send resolves, and the driver goes on trying. Places of its records are empty in what the send resolves
   * with. Without it a send waits for all its partitions.
   */
  readonly onDelayed?: (delayed: DelayedPartition) => void
}

/** A partition of a send that accepts no records at present: it has no leader, too few replicas, or its broker is away. */
export interface DelayedPartition extends TopicPartition {
  /** Why, in words, as of the last try. */
  readonly reason: string
  /**
   * Outcomes of its records, in their order, once all of them are acknowledged or refused for good; there is no limit to how
   * long that takes. Rejects as the send does, and then what was sent of them may be stored or not.
   */
  readonly outcomes: Promise<readonly SendOutcome[]>
}

/**
 * Stores batches. The caller (the record collector) keeps at most one `send` in flight per broker and gathers meanwhile; the driver
 * splits a batch into requests by count and bytes and keeps the order per partition.
 */
export interface Producer {
  /** Number of partitions of a topic, cached; rejects with `TOPIC_MISSING` when there is no such topic. */
  partitions(topic: string): Promise<number>
  /** Where the partition's leader is; records of one broker go in one request. Its node id on Kafka, 0 where there is no such thing. May change with time. */
  brokerOf(partition: TopicPartition): number
  /**
   * Resolves when every record is acknowledged or refused for good. Rejects only by `guard`, `CLOSED` or a fatal error. A
   * request whose answer was lost is sent again, and its records are stored once, in the order of the sends to their
   * partition. After `guard` has ended a send, or a delayed partition of it, the caller may send records of it again: the
   * same objects, in the same order, before others for their partitions. Those that were stored are not stored again.
   */
  send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]>
  /** Waits at most 5 s for sends in flight. */
  close(): Promise<void>
}

/** One transaction at a time: `begin`, sends, `sendOffsets`, `commit` or `abort`. Calls never overlap, but sends to several brokers may. */
export interface TransactionalProducer extends Producer {
  /** Fences every earlier producer of this id and ends its open transaction. Must be called before anything else, and again never. */
  init(): Promise<void>
  begin(): Promise<void>
  /** Offsets that become committed with the transaction. */
  sendOffsets(groupId: string, offsets: readonly CommitOffset[]): Promise<void>
  /**
   * Rejects with `PRODUCER_FENCED` when another producer of this id was initialised (or the transaction timed out).
   * After any rejection the producer must be closed and a new one made: whether the commit counted is seen from the
   * committed offset, read after the next `init`.
   */
  commit(): Promise<void>
  abort(): Promise<void>
}
