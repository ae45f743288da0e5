import type { CommitOffset, OutgoingRecord, RawRecord } from '@millrace/core'
import type { GroupState } from './group-state.ts'
import type { ChangeSignal } from './change-signal.ts'

/** A topic in the log. `number` is never reused, so that rows of a deleted topic cannot reappear. */
export interface StoredTopic {
  readonly name: string
  readonly id: string
  readonly number: number
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
}

/** First offset that may be read, and the next one to be written. */
export interface PartitionBounds {
  readonly start: number
  readonly end: number
}

/** Consecutive records from one position of a partition. */
export interface StoredSlice {
  readonly records: readonly RawRecord[]
  readonly bytes: number
  readonly nextOffset: number
}

/** How much of a partition to read at once; at least one record is returned whatever its size. */
export interface ReadLimit {
  readonly maxBytes: number
  readonly maxRecords: number
}

/** A consistent snapshot of the log. Use it at once; do not keep it across an await. */
export interface LogReads {
  topic(name: string): StoredTopic | undefined
  topics(): readonly StoredTopic[]
  bounds(topic: StoredTopic, partition: number): PartitionBounds
  /** Records from `offset`, which must be within the bounds. The next offset is the end if no records follow. */
  slice(topic: StoredTopic, at: { readonly partition: number; readonly offset: number }, limit: ReadLimit): StoredSlice
  group(groupId: string): GroupState
  groups(): readonly string[]
  committed(groupId: string): readonly CommitOffset[]
  committedOffset(groupId: string, topic: string, partition: number): CommitOffset | undefined
  /** How often a producer of this transactional id was initialised. */
  epoch(transactionalId: string): number
  /** How many heartbeats of a member were written. */
  beats(groupId: string, memberId: string): number
}

/** The operations of one atomic write. Reads in it see its own writes. */
export interface LogWrites extends LogReads {
  putTopic(topic: Omit<StoredTopic, 'number'>): void
  /** Deletes the topic with its records and the offsets committed in it. */
  dropTopic(topic: StoredTopic): void
  /** Appends to one partition and returns the first record's offset. */
  append(topic: StoredTopic, partition: number, records: readonly OutgoingRecord[]): number
  /**
   * Deletes records before an offset within the bounds, as many as one write should. Returns where the partition begins
   * now, which may be before that offset.
   */
  deleteBefore(topic: StoredTopic, partition: number, offset: number): number
  putGroup(groupId: string, state: GroupState): void
  putCommitted(groupId: string, offset: CommitOffset): void
  /** Deletes the group with its commits. */
  dropGroup(groupId: string): void
  putEpoch(transactionalId: string, epoch: number): void
  putBeats(groupId: string, memberId: string, beats: number): void
}

/** The byte layer: the part in which the memory log and the LMDB log differ. Everything else is shared. */
export interface LogBackend {
  /** Notifies after each write, of this process or of another. */
  readonly changes: LogChanges
  read<T>(query: (log: LogReads) => T): T
  /**
   * Runs `change` once, atomically, and resolves when it is as durable as the log makes it. An error of `change`
   * rejects, and nothing is written: `change` must check first and write afterwards. `kind` says whom to wake.
   */
  write<T>(kind: keyof LogChanges | 'quiet', change: (log: LogWrites) => T): Promise<T>
}

export interface LogChanges {
  readonly records: ChangeSignal
  readonly groups: ChangeSignal
}
