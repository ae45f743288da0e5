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
