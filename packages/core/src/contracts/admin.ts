import type { SendOptions } from './producer.ts'
import type { CommitOffset, TopicPartition } from './record.ts'

export type Isolation = 'read-uncommitted' | 'read-committed'

export interface PartitionOffsets extends TopicPartition {
  readonly beginning: number
  readonly end: number
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
  /** Changes when the topic is deleted and created again. Opaque; may be the name if the broker has no topic ids. */
  readonly id: string
}

/**
 * What a topic keeps and for how long, as effective on the broker: settings that nobody has set have their defaults.
 */
export interface TopicSettings {
  readonly name: string
  /** Whether `cleanup.policy` has `compact`: the last record of each key stays. */
  readonly compacted: boolean
  /** Whether `cleanup.policy` has `delete`: records expire by age and size, even in a compacted topic. */
  readonly expires: boolean
  /** `retention.ms`: the age at which records expire; `undefined` is never. Applies only with `expires`. */
  readonly retentionMs: number | undefined
  /**
   * `retention.bytes`: the size of a partition beyond which its oldest records expire; `undefined` is no limit. Applies
   * only with `expires`.
   */
  readonly retentionBytes: number | undefined
  /** `delete.retention.ms`: how long compaction keeps tombstones. Applies only with `compacted`. */
  readonly tombstoneMs: number
  /** `max.message.bytes`: the limit of one batch of records, as it is stored. */
  readonly maxBatchBytes: number
  /** The number of replicas of the partition with the fewest; 1 for a log of one machine. */
  readonly replicas: number
  /**
   * `min.insync.replicas`: how many replicas must have a record before it is acknowledged; 1 for a log of one machine.
   */
  readonly minInSyncReplicas: number
}

/** A member of a consumer group, as the broker sees it. */
export interface MemberInfo {
  readonly id: string
  /** Set for a static member; `undefined` for a dynamic one. */
  readonly instanceId: string | undefined
  /** Where the member runs, for people: an address, or a process of this machine. */
  readonly host: string
}

export interface CommittedOptions {
  /** Wait, without a limit, for transactions that have offsets pending. Default false: what is committed now. */
  readonly stable?: boolean
}

/** Every call is safe to repeat; calls may overlap. */
export interface Admin {
  /** Existing topics among those named, or all if `names` is undefined. Missing ones are absent. */
  topics(names?: readonly string[]): Promise<readonly TopicInfo[]>
  /**
   * Settings of the topics named; missing ones are absent. `NOT_AUTHORIZED` if this client may not see those of one of
   * them.
   */
  topicSettings(names: readonly string[]): Promise<readonly TopicSettings[]>
  /** How many brokers of the cluster are up; 1 for a log of one machine. */
  brokers(): Promise<number>
  /** Creates the topics that do not exist, and leaves the others unchanged. Resolves when all can be written to. */
  createTopics(specs: readonly TopicSpec[]): Promise<void>
  deleteTopics(names: readonly string[]): Promise<void>
  offsets(partitions: readonly TopicPartition[], isolation: Isolation): Promise<readonly PartitionOffsets[]>
  /**
   * For each partition the offset of the first record that is not older than `timestampMs`, or the end if there is
   * none. Timestamps need not be in order: later records may be older.
   */
  offsetsAt(partitions: readonly TopicPartition[], timestampMs: number): Promise<readonly PartitionPosition[]>
  /**
   * Deletes the records of each partition before its offset, at which the partition then begins; a partition that
   * begins there or later is unchanged. Resolves when nobody can read them any more; a broker may free the space later.
   * `TOPIC_MISSING`, `PARTITION_MISSING`, `NOT_AUTHORIZED`, and `OFFSET_OUT_OF_RANGE` for an offset past the end:
   * records of other partitions may then have been deleted. The guard is that of a send.
   */
  deleteRecords(before: readonly PartitionPosition[], options: SendOptions): Promise<void>
  /** Committed offsets of a group, even of one without members; all of them if `partitions` is undefined. */
  committed(
    groupId: string,
    partitions?: readonly TopicPartition[],
    options?: CommittedOptions,
  ): Promise<readonly CommitOffset[]>
  /**
   * Sets committed offsets of a group without members; those of other partitions stay. Otherwise `GROUP_NOT_EMPTY`.
   * After `TOPIC_MISSING` and `PARTITION_MISSING` nothing is set.
   */
  commit(groupId: string, offsets: readonly CommitOffset[]): Promise<void>
  /** Members of a group; none for a group that never existed. Members that are surely dead may be left out. */
  members(groupId: string): Promise<readonly MemberInfo[]>
  /**
   * Deletes a group with everything it has committed. `GROUP_NOT_EMPTY` while it has members; a group that never
   * existed is fine.
   */
  deleteGroup(groupId: string): Promise<void>
  close(): Promise<void>
}
