import type { Clock } from './clock.ts'
import type { GroupAssignor } from './group.ts'
import type { Logger } from './logger.ts'
import type { Producer, SendOptions, TransactionalProducer } from './producer.ts'
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
   * Called once, before anything else. Reaches the broker or rejects: with `BROKER_UNREACHABLE` when `timeoutMs` has
   * passed (it retries with backoff until then).
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
  /** The brokers that it has had to do with since `connect`, for statistics. Empty where there are none to connect to. */
  brokers(): readonly BrokerState[]
  /** Closes every part that is still open, then the connections; limited to 5 s, then gives up silently. May be called twice. */
  close(): Promise<void>
}

/** How it stands with the connections to one broker. */
export interface BrokerState {
  /** Host and port. */
  readonly broker: string
  /** False when the last connection was lost, or could not be opened. */
  readonly isReachable: boolean
  /** Since when, in milliseconds. */
  readonly forMs: number
}

/** Frozen facts by which suites and the worker tell drivers apart. */
export interface TransportCapabilities {
  /** 'kafka' | 'embedded' | 'memory' | … , for messages. */
  readonly name: string
  /** Records survive the end of the process. */
  readonly durable: boolean
  /** Other processes can use the same log. */
  readonly shared: boolean
  /** Uncommitted records can be in the log (so read-uncommitted readers see more than read-committed ones). */
  readonly uncommittedVisible: boolean
  /** A member that is not heard of for `sessionTimeoutMs` is thrown out. */
  readonly sessions: boolean
}

/**
 * What becomes of a stretch that cannot be decoded: it ends `batches()` with its error, or comes as a batch with `broken`
 * set. One whose end is not known (its header is damaged) always ends them.
 */
export type BrokenBatches = 'throw' | 'deliver'

export interface ReaderOptions {
  readonly isolation: Isolation
  /** Default 'throw'. */
  readonly brokenBatches?: BrokenBatches
}

export type Isolation = 'read-uncommitted' | 'read-committed'

/** What a transport gets from its composition root. */
export interface TransportDeps {
  readonly clock: Clock
  readonly log: Logger
}

export interface ConsumerOptions {
  readonly groupId: string
  /** Topics whose partition counts the assignor is told. All must exist when `start` is called, else `TOPIC_MISSING`. */
  readonly topics: readonly string[]
  /** Static membership (`group.instance.id`); `undefined` for a dynamic member. */
  readonly instanceId: string | undefined
  readonly assignor: GroupAssignor
  /** Asked anew at every join. */
  readonly memberData: () => Uint8Array
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly isolation: Isolation
  /** Most bytes of one fetch per partition. */
  readonly maxPartitionBytes: number
  /** Default 'throw'. */
  readonly brokenBatches?: BrokenBatches
  readonly listener: RebalanceListener
  /**
   * Called when a position is not, or no longer, in the topic: retention has deleted its records, or the log was cut off
   * before it. Nothing of the partition is delivered until `seek`, which may be called within. What it throws ends
   * `batches()`. Default: throws `OFFSET_OUT_OF_RANGE`.
   */
  readonly onOutOfRange?: (lost: LostPosition) => void
}

/**
 * Awaited by the driver, one at a time, except that `onLost` is also called while `onRevoke` runs. A rejection is fatal:
 * the driver ends `batches()` with it.
 */
export interface RebalanceListener {
  /**
   * A rebalance has begun and this member has not rejoined yet. Commits still succeed until the returned promise
   * settles; heartbeats go on meanwhile; the driver waits at most `rebalanceTimeoutMs`. No list: what will be lost is
   * known only afterwards. Not called for the first join or after `onLost`.
   */
  onRevoke(): Promise<void>
  /**
   * The member has joined. `kept` partitions keep their position and what has been fetched of them, unless `stop` is
   * called; a member that has missed a generation keeps none, because others may have had them in it; `gained` ones deliver nothing until `seek`; batches of `lost` ones are no longer handed out once this is called. The driver
   * heartbeats while it waits, so this may take long, but it should only start long work, not await it.
   */
  onAssign(change: AssignmentChange): Promise<void>
  /**
   * Membership is gone (fenced, session expired): nothing can be committed, all partitions are lost. Called as soon as
   * the driver knows, so that a member that still drains does not go on with what others have. The driver rejoins
   * afterwards by itself; `onAssign` follows when an `onRevoke` under way has settled.
   */
  onLost(): Promise<void>
}

export interface AssignmentChange {
  readonly memberId: string
  readonly generation: number
  readonly lost: readonly TopicPartition[]
  readonly kept: readonly TopicPartition[]
  readonly gained: readonly TopicPartition[]
  /** What the assignor gave to every member. */
  readonly groupData: Uint8Array
  /** What it gave to this member only; empty when there is nothing. */
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
   * Batches in offset order per partition, each beginning where the one before it ended or where `seek` said. A driver fetches only while somebody asks for more and holds at most one
   * response per broker. Ends when `close` is called; throws on a fatal error (see each method's codes).
   * `INSTANCE_TAKEN`: another process has joined with the same `instanceId`. A position out of range throws `OFFSET_OUT_OF_RANGE`, unless `onOutOfRange` finds a way on.
   */
  batches(): AsyncIterable<RecordBatch>
  /** Next offset to read; starts delivery of a gained partition. Batches fetched before are dropped. */
  seek(partition: TopicPartition, offset: number): void
  /**
   * The opposite of `seek`: as if the partition had just been gained. Nothing of it is delivered until the next `seek`,
   * neither a batch fetched before nor news of a position out of range; its position and a pause are forgotten. A batch
   * that `batches()` has given out already is the caller's.
   */
  stop(partitions: readonly TopicPartition[]): void
  /** Stops delivery; at most one batch already under way may still come. Keeps the position. */
  pause(partitions: readonly TopicPartition[]): void
  resume(partitions: readonly TopicPartition[]): void
  /** Committed offsets with their metadata; those never committed are absent. */
  committed(partitions: readonly TopicPartition[]): Promise<readonly CommitOffset[]>
  /**
   * Commits for this member in its generation. Never two calls at a time. Rejects with `NOT_ASSIGNED` (naming the
   * partition; nothing is committed) when one is not assigned to this member, with `MEMBER_FENCED` when the member or
   * its generation is no longer valid (`onLost` follows).
   */
  commit(offsets: readonly CommitOffset[]): Promise<void>
  /** Monotonic milliseconds at which the last heartbeat (or join) that succeeded was *sent*. `-Infinity` before. */
  lastHeartbeatMs(): number
  /** Asks the group for a rebalance, for example because `memberData` changed. */
  rejoin(): void
  /**
   * Leaves the group (without calling `onRevoke`: the worker has drained) and ends `batches()`. At most 5 s. With `leave:
   * false` a static member stays in the group until its session runs out, and has its place again if it is back before.
   */
  close(options?: { readonly leave?: boolean }): Promise<void>
}

/** Fetches given partitions, outside any group. Positions are per reader; `assign` and `unassign` are synchronous. */
export interface Reader {
  /** Starts (or restarts) reading a partition at an offset. */
  assign(partition: TopicPartition, offset: number): void
  unassign(partition: TopicPartition): void
  /** As `Consumer.batches`: also yields an empty batch when only the position moved, so "end reached" is a position. */
  batches(): AsyncIterable<RecordBatch>
  /** The first offset present and the end (last stable offset under read-committed) of each. */
  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]>
  close(): Promise<void>
}

export interface PartitionOffsets extends TopicPartition {
  readonly beginning: number
  readonly end: number
}

/** A position outside of what its topic has. */
export interface LostPosition extends PartitionOffsets {
  readonly position: number
}

export interface PartitionPosition extends TopicPartition {
  readonly offset: number
}

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  /** -1 for the broker's default. */
  readonly replicationFactor: number
  /** Topic settings by Kafka's names, for example `cleanup.policy`. */
  readonly config: Readonly<Record<string, string>>
}

export interface TopicInfo {
  readonly name: string
  readonly partitions: number
  /** Changes when the topic is deleted and created again. Opaque; may be the name where the broker has no ids to offer. */
  readonly id: string
}

/** What a topic keeps and for how long, as it holds on the broker: what nobody has set is there with its default. */
export interface TopicSettings {
  readonly name: string
  /** `cleanup.policy` has `compact`: the last record of each key stays. */
  readonly compacted: boolean
  /** `cleanup.policy` has `delete`: records go by age and size, in a topic that is compacted too. */
  readonly expires: boolean
  /** `retention.ms`: age at which records go; `undefined` is never. Counts only when `expires`. */
  readonly retentionMs: number | undefined
  /** `retention.bytes`: size of a partition beyond which its oldest records go; `undefined` is any. Counts only when `expires`. */
  readonly retentionBytes: number | undefined
  /** `delete.retention.ms`: how long compaction keeps tombstones. Counts only when `compacted`. */
  readonly tombstoneMs: number
  /** `max.message.bytes`: of one batch of records, as it is stored. */
  readonly maxBatchBytes: number
  /** Copies of its partitions, of the one that has fewest; 1 for a log of one machine. */
  readonly replicas: number
  /** `min.insync.replicas`: copies that must have a record before it counts as acknowledged; 1 for a log of one machine. */
  readonly minInSyncReplicas: number
}

/** Who is in a consumer group, as the broker sees it. */
export interface MemberInfo {
  readonly id: string
  /** Static membership; `undefined` for a dynamic member. */
  readonly instanceId: string | undefined
  /** From where it speaks, for people: an address, or a process of this machine. */
  readonly host: string
}

export interface CommittedOptions {
  /** Wait for transactions that have offsets pending, for as long as those take. Default false: what is committed now. */
  readonly stable?: boolean
}

/** Every call is safe to repeat; calls may overlap. */
export interface Admin {
  /** Known topics among those named, or all when `names` is undefined. Missing ones are absent. */
  topics(names?: readonly string[]): Promise<readonly TopicInfo[]>
  /** Settings of those named; missing ones are absent. `NOT_AUTHORIZED` when this client may not see those of one of them. */
  topicSettings(names: readonly string[]): Promise<readonly TopicSettings[]>
  /** How many brokers the cluster has that are up; 1 for a log of one machine. */
  brokers(): Promise<number>
  /** Creates those that do not exist yet, leaves the others as they are. Resolves when all can be written to. */
  createTopics(specs: readonly TopicSpec[]): Promise<void>
  deleteTopics(names: readonly string[]): Promise<void>
  offsets(partitions: readonly TopicPartition[], isolation: Isolation): Promise<readonly PartitionOffsets[]>
  /**
   * Of each partition the offset of the first record that is not older than `timestampMs`, or the end where there is
   * none. Timestamps need not be in order: records behind that one may be older.
   */
  offsetsAt(partitions: readonly TopicPartition[], timestampMs: number): Promise<readonly PartitionPosition[]>
  /**
   * Deletes the records of each partition that are before its offset, which is where it then begins; one that begins
   * there or later stays as it is. Resolves when nobody can read them any more; a broker may free the room later.
   * `TOPIC_MISSING`, `PARTITION_MISSING`, `NOT_AUTHORIZED`, and `OFFSET_OUT_OF_RANGE` for an offset past the end: then
   * those of other partitions may be gone or not. The guard is that of a send.
   */
  deleteRecords(before: readonly PartitionPosition[], options: SendOptions): Promise<void>
  /** Committed offsets of a group, also of one that has no members: all of them when `partitions` is undefined. */
  committed(
    groupId: string,
    partitions?: readonly TopicPartition[],
    options?: CommittedOptions,
  ): Promise<readonly CommitOffset[]>
  /**
   * Sets the committed offsets of a group that has no members, those of other partitions stay: `GROUP_NOT_EMPTY`
   * otherwise. `TOPIC_MISSING` and `PARTITION_MISSING`, and then nothing is set.
   */
  commit(groupId: string, offsets: readonly CommitOffset[]): Promise<void>
  /** Members of a group; none for a group that never was. Members that are surely dead may be left out. */
  members(groupId: string): Promise<readonly MemberInfo[]>
  /** Forgets a group and all that it has committed. `GROUP_NOT_EMPTY` while it has members; a group that never was is fine. */
  deleteGroup(groupId: string): Promise<void>
  close(): Promise<void>
}
