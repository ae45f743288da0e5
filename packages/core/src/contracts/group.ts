import type { TopicPartition } from './record.ts'

export interface GroupMember {
  readonly id: string
  readonly topics: readonly string[]
  /** The bytes that the member's `memberData` returned. */
  readonly data: Uint8Array
}

export interface GroupView {
  readonly members: readonly GroupMember[]
  /** Partition count of every topic that some member subscribes to and that exists. */
  readonly partitions: ReadonlyMap<string, number>
}

export interface GroupAssignment {
  /** By member id; a member without an entry gets nothing. */
  readonly assignments: ReadonlyMap<string, readonly TopicPartition[]>
  /**
   * Sent to every member with its assignment. A broker stores it once per member: 1 MB is a usual limit for all of them
   * together.
   */
  readonly groupData: Uint8Array
  /** Sent to one member only, by member id; nothing for a member without an entry. */
  readonly ownData?: ReadonlyMap<string, Uint8Array>
}

/** Decides which member gets which partitions. Pure: the driver runs it on the member that leads the group. */
export interface GroupAssignor {
  /** Protocol name in the group; members with another name cannot join the same group. */
  readonly name: string
  assign(view: GroupView): GroupAssignment
}
