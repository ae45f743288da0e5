import type { CommitOffset, OutgoingRecord, RawRecord } from '@millrace/core'
import type { GroupState } from './group-state.ts'
import type { ChangeSignal } from './change-signal.ts'

/** A topic as the log keeps it. `number` is never used twice, so rows of a deleted topic cannot come back to life. */
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

/** Consecutive records from one place of a partition. */
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

/** A consistent snapshot of the log. Use it at once; do not keep it over an await. */
export interface LogReads {
  topic(name: string): StoredTopic | undefined
  topics(): readonly StoredTopic[]
  bounds(topic: StoredTopic, partition: number): PartitionBounds
  /** Records from `offset`, which must be within the bounds. The next offset is the end when none follow. */
  slice(topic: StoredTopic, at: { readonly partition: number; readonly offset: number }, limit: ReadLimit): StoredSlice
  group(groupId: string): GroupState
  groups(): readonly string[]
  committed(groupId: string): readonly CommitOffset[]
  committedOffset(groupId: string, topic: string, partition: number): CommitOffset | undefined
  /** How often a producer of this transactional id was initialised. */
  epoch(transactionalId: string): number
  /** How often a member was heard of. */
  beats(groupId: string, memberId: string): number
}

/** What one atomic write may do. Reads in it see its own writes. */
export interface LogWrites extends LogReads {
  putTopic(topic: Omit<StoredTopic, 'number'>): void
  /** With its records and the offsets committed in it. */
  dropTopic(topic: StoredTopic): void
  /** Appends to one partition and returns the first record's offset. */
  append(topic: StoredTopic, partition: number, records: readonly OutgoingRecord[]): number
  /**
   * Deletes records before an offset within the bounds, as many as one write should: gives where the partition begins
   * now, which may be short of that offset.
   */
  deleteBefore(topic: StoredTopic, partition: number, offset: number): number
  putGroup(groupId: string, state: GroupState): void
  putCommitted(groupId: string, offset: CommitOffset): void
  /** With what it has committed. */
  dropGroup(groupId: string): void
  putEpoch(transactionalId: string, epoch: number): void
  putBeats(groupId: string, memberId: string, beats: number): void
}

/** The byte layer: what the memory log and the LMDB log do in different ways. Everything else is shared. */
export interface LogBackend {
  /** Notified after each write, of this process or of another. */
  readonly changes: LogChanges
  read<T>(query: (log: LogReads) => T): T
  /**
   * Runs `change` once, atomically, and resolves when it is as durable as the log makes it. What `change` throws
   * rejects, and nothing was written: `change` must check first and write afterwards. `kind` says whom to wake.
   */
  write<T>(kind: keyof LogChanges | 'quiet', change: (log: LogWrites) => T): Promise<T>
}

export interface LogChanges {
  readonly records: ChangeSignal
  readonly groups: ChangeSignal
}
