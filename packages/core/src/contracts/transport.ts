import type { Admin, Isolation, PartitionOffsets } from './admin.ts'
import type { Clock } from './clock.ts'
import type { GroupAssignor } from './group.ts'
import type { Logger } from './logger.ts'
import type { Producer, TransactionalProducer } from './producer.ts'
import type { CommitOffset, RecordBatch, TopicPartition } from './record.ts'

/**
 * What a broker must offer. A driver implements this and nothing more; batching by time, partitioning, retries of user
 * code, memory bounds and the commit cycle live above it, in `worker`.
 *
 * For every method of every part: calls before `start`/`init` or after `close` reject with `CLOSED`; offsets are safe
 * integers (`OFFSET_UNSAFE` otherwise); an aborted signal rejects with the signal's reason. Errors are `MillraceError`s.
 * Transient errors (connection lost, leader moved, coordinator loading) are retried inside the driver, with backoff, until
 * they pass or the part is closed: a caller never sees them. In an outage the log gets at most one `warn` line for each
 * broker and ten seconds, and one when it is back.
 */
export interface Transport {
  readonly capabilities: TransportCapabilities
  /**
   * Called once, before anything else. Reaches the broker, retrying with backoff, or rejects with `BROKER_UNREACHABLE`
   * after `timeoutMs`.
   */
  connect(options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<void>
  /** A member of a consumer group. Called by the worker, once per run; does nothing until `start`. */
  consumer(options: ConsumerOptions): Consumer
  /** A producer outside transactions; acks from all in-sync replicas. */
  producer(): Producer
  /** A producer whose sends and offsets become visible together. Does nothing until `init`. */
  transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer
  /** Reads partitions from given offsets, outside any group. */
  reader(options: ReaderOptions): Reader
  admin(): Admin
  /** The brokers that it has used since `connect`, for statistics. Empty if there are none to connect to. */
  brokers(): readonly BrokerState[]
  /** Closes every part that is still open, then the connections; limited to 5 s, then gives up silently. May be called twice. */
  close(): Promise<void>
}

/** The state of the connections to one broker. */
export interface BrokerState {
  /** Host and port. */
  readonly broker: string
  /** False if the last connection was lost, or could not be opened. */
  readonly isReachable: boolean
  /** How long this state has lasted, in milliseconds. */
  readonly forMs: number
}

/** Frozen facts by which suites and the worker tell drivers apart. */
export interface TransportCapabilities {
  /** 'kafka' | 'embedded' | 'memory' | … , for messages. */
  readonly name: string
  /** Whether records survive the end of the process. */
  readonly durable: boolean
  /** Whether other processes can use the same log. */
  readonly shared: boolean
  /**
   * Whether uncommitted records can be in the log (so that read-uncommitted readers see more than read-committed ones).
   */
  readonly uncommittedVisible: boolean
  /** Whether a member without a heartbeat for `sessionTimeoutMs` is removed from the group. */
  readonly sessions: boolean
}

/**
 * What happens to a range that cannot be decoded: `batches()` ends with its error, or yields a batch with `broken` set.
 * A range whose end is unknown (its header is damaged) always ends them.
 */
export type BrokenBatches = 'throw' | 'deliver'

export interface ReaderOptions {
  readonly isolation: Isolation
  /** Default 'throw'. */
  readonly brokenBatches?: BrokenBatches
}

/** What a transport gets from its composition root. */
export interface TransportDeps {
  readonly clock: Clock
  readonly log: Logger
}

export interface ConsumerOptions {
  readonly groupId: string
  /**
   * Topics whose partition counts the assignor needs. All must exist when `start` is called, otherwise `TOPIC_MISSING`.
   */
  readonly topics: readonly string[]
  /** Static membership (`group.instance.id`); `undefined` for a dynamic member. */
  readonly instanceId: string | undefined
  readonly assignor: GroupAssignor
  /** Called at every join. */
  readonly memberData: () => Uint8Array
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly isolation: Isolation
  /** The most bytes of one fetch per partition. */
  readonly maxPartitionBytes: number
  /** Default 'throw'. */
  readonly brokenBatches?: BrokenBatches
  readonly listener: RebalanceListener
  /**
   * Called if a position is not, or no longer, in the topic: retention has deleted its records, or the log was
   * truncated before it. Nothing of the partition is delivered until `seek`, which may be called within. An error
   * thrown here ends `batches()`. Default: throws `OFFSET_OUT_OF_RANGE`.
   */
  readonly onOutOfRange?: (lost: LostPosition) => void
}

/**
 * Awaited by the driver, one call at a time, except that `onLost` may be called while `onRevoke` runs. A rejection is
 * fatal: the driver ends `batches()` with it.
 */
export interface RebalanceListener {
  /**
   * A rebalance has begun and this member has not rejoined yet. Commits still succeed until the returned promise
   * settles; heartbeats continue; the driver waits at most `rebalanceTimeoutMs`. There is no list, because the lost
   * partitions are known only afterwards. Not called for the first join or after `onLost`.
   */
  onRevoke(): Promise<void>
  /**
   * The member has joined. `kept` partitions keep their position and their fetched data, unless `stop` is called; a
   * member that has missed a generation keeps none, because others may have had them in it. `gained` ones deliver
   * nothing until `seek`. Batches of `lost` ones are not delivered any more once this is called. Heartbeats continue
   * during the call, so it may take long, but it should only start long work, not await it.
   */
  onAssign(change: AssignmentChange): Promise<void>
  /**
   * Membership is gone (fenced, session expired): nothing can be committed, and all partitions are lost. Called as soon
   * as the driver knows, so that a draining member does not continue with partitions that others have. The driver then
   * rejoins by itself; `onAssign` follows when an `onRevoke` under way has settled.
   */
  onLost(): Promise<void>
}

export interface AssignmentChange {
  readonly memberId: string
  readonly generation: number
  readonly lost: readonly TopicPartition[]
  readonly kept: readonly TopicPartition[]
  readonly gained: readonly TopicPartition[]
  /** What the assignor sent to every member. */
  readonly groupData: Uint8Array
  /** What the assignor sent to this member only; empty if nothing. */
  readonly ownData: Uint8Array
}

/**
 * A group member. `start`, `close` and `commit` are called by the worker, `batches` is iterated once. `seek`, `stop`,
 * `pause` and `resume` are synchronous, may be called at any time for assigned partitions, and are ignored for others.
 */
export interface Consumer {
  /** Joins the group; resolves once the first `onAssign` has settled. Retries until it succeeds or `close` is called. */
  start(): Promise<void>
  /**
   * Batches in offset order per partition, each beginning where the one before it ended or at the offset of `seek`. A
   * driver fetches only while its caller asks for more, and holds at most one response per broker. Ends when `close` is
   * called; throws on a fatal error (see each method's codes). `INSTANCE_TAKEN`: another process has joined with the
   * same `instanceId`. A position out of range throws `OFFSET_OUT_OF_RANGE`, unless `onOutOfRange` handles it.
   */
  batches(): AsyncIterable<RecordBatch>
  /**
   * Sets the next offset to read, and starts delivery of a gained partition. Batches that were fetched before are
   * dropped.
   */
  seek(partition: TopicPartition, offset: number): void
  /**
   * The opposite of `seek`: the partition is as if just gained. Nothing of it is delivered until the next `seek`,
   * neither a fetched batch nor a report of a position out of range; its position and a pause are forgotten. A batch
   * that `batches()` has already yielded belongs to the caller.
   */
  stop(partitions: readonly TopicPartition[]): void
  /** Stops delivery; at most one batch already under way may still be yielded. Keeps the position. */
  pause(partitions: readonly TopicPartition[]): void
  resume(partitions: readonly TopicPartition[]): void
  /** Committed offsets with their metadata; partitions that were never committed are absent. */
  committed(partitions: readonly TopicPartition[]): Promise<readonly CommitOffset[]>
  /**
   * Commits for this member in its generation. Never two calls at a time. Rejects with `NOT_ASSIGNED` (naming the
   * partition; nothing is committed) if a partition is not assigned to this member, and with `MEMBER_FENCED` if the
   * member or its generation is no longer valid (`onLost` follows).
   */
  commit(offsets: readonly CommitOffset[]): Promise<void>
  /**
   * Monotonic time in milliseconds at which the last successful heartbeat (or join) was *sent*. `-Infinity` before the
   * first.
   */
  lastHeartbeatMs(): number
  /** Asks the group for a rebalance, for example because `memberData` changed. */
  rejoin(): void
  /**
   * Leaves the group (without `onRevoke`, because the worker has drained) and ends `batches()`. Takes at most 5 s. With
   * `leave: false` a static member stays in the group until its session runs out, and resumes its membership if it
   * returns before that.
   */
  close(options?: { readonly leave?: boolean }): Promise<void>
}

/** Fetches given partitions, outside any group. Positions are per reader; `assign` and `unassign` are synchronous. */
export interface Reader {
  /** Starts (or restarts) reading a partition at an offset. */
  assign(partition: TopicPartition, offset: number): void
  unassign(partition: TopicPartition): void
  /**
   * Like `Consumer.batches`; also yields an empty batch if only the position moved, so that a position shows when the
   * end is reached.
   */
  batches(): AsyncIterable<RecordBatch>
  /** The first offset present and the end (last stable offset under read-committed) of each. */
  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]>
  close(): Promise<void>
}

/** A position that its topic does not have. */
export interface LostPosition extends PartitionOffsets {
  readonly position: number
}
