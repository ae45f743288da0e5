import type { TopicPartition } from './record.ts'

export interface GroupMember {
  readonly id: string
  readonly topics: readonly string[]
  /** What the member's `memberData` returned. */
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
  /** Given to every member with its assignment. A broker keeps it once for each of them: 1 MB is a usual limit for all together. */
  readonly groupData: Uint8Array
  /** Given to one member only, by member id; nothing for one without an entry. */
  readonly ownData?: ReadonlyMap<string, Uint8Array>
}

/** Decides who gets what. Pure: the driver runs it on whichever member leads the group. */
export interface GroupAssignor {
  /** Protocol name in the group; members with another one cannot join the same group. */
  readonly name: string
  assign(view: GroupView): GroupAssignment
}
