import type { CommitOffset, RawRecord } from '@millrace/core'
import type { TopicInfo } from '@millrace/core/driver'
import { expireMembers, type ExpiredMembers, type GroupState } from '../log/group-state.ts'
import type { LogBackend, LogChanges, LogReads, LogWrites } from '../log/log-backend.ts'
import { topicInfo } from '../clients/log-admin.ts'
import { MemoryContents } from './memory-contents.ts'
import { ChangeSignal } from '../log/change-signal.ts'

/** A log in the heap that the transports of one process share, with ways to inspect it in tests. */
export interface MemoryLog {
  /** For `createMemoryTransport`. */
  readonly backend: LogBackend
  /** Grows with every write: equal numbers mean that nothing happened in between. */
  readonly version: number
  topics(): readonly TopicInfo[]
  /** Records of a topic, partition by partition; empty when there is no such topic. */
  records(topic: string): readonly (RawRecord & { readonly partition: number })[]
  /** Offsets that a group has committed. */
  committed(groupId: string): readonly CommitOffset[]
  group(groupId: string): GroupState
  /** Keeps the last record of each key. Records without a key stay. Tombstones are removed only on request. */
  compact(topic: string, options?: { readonly dropTombstones?: boolean }): void
  /** Deletes the records of a partition before an offset, as retention does. */
  deleteRecords(topic: string, partition: number, before: number): void
  /** Increases the partition count of a topic to `partitions`; existing partitions keep their records. */
  addPartitions(topic: string, partitions: number): void
  /** Removes members from their groups, as if their sessions had run out: all, or those of one host or one group. */
  expire(which?: ExpiredMembers): void
}

/**
 * Makes an empty log. It has no timers: members are removed only by `expire` or by killing their transport.
 *
 * @example
 * const log = createMemoryLog()
 * const transport = createMemoryTransport(log, { clock, log: logger })
 */
export function createMemoryLog(): MemoryLog {
  const contents = new MemoryContents()
  const backend = new MemoryBackend(contents)
  return {
    backend,
    get version() {
      return backend.version
    },
    topics: () => contents.topics().map(topicInfo),
    records: (name) => {
      const topic = contents.topic(name)
      if (topic === undefined) return []
      return contents
        .partitions(topic)
        .flatMap(({ records }, partition) => records.map((record) => ({ ...record, partition })))
    },
    committed: (groupId) => contents.committed(groupId),
    group: (groupId) => contents.group(groupId),
    compact: (name, options) => {
      const topic = contents.topic(name)
      if (topic !== undefined)
        for (const partition of contents.partitions(topic)) partition.compact(options?.dropTombstones ?? false)
    },
    deleteRecords: (name, partition, before) => {
      const topic = contents.topic(name)
      if (topic !== undefined) contents.partitions(topic)[partition]?.deleteBefore(before)
    },
    addPartitions: (name, partitions) => void backend.write('records', () => contents.addPartitions(name, partitions)),
    expire: (which = {}) => void backend.write('groups', (log) => expireMembers(log, which)),
  }
}

/** The log in the heap of one process. A write happens at once, within the call. */
export class MemoryBackend implements LogBackend {
  readonly changes: LogChanges = { records: new ChangeSignal(), groups: new ChangeSignal() }
  readonly #contents: MemoryContents
  #version = 0

  constructor(contents: MemoryContents) {
    this.#contents = contents
  }

  /** Grows with each write. */
  get version(): number {
    return this.#version
  }

  read<T>(query: (log: LogReads) => T): T {
    return query(this.#contents)
  }

  async write<T>(kind: keyof LogChanges | 'quiet', change: (log: LogWrites) => T): Promise<T> {
    const result = change(this.#contents)
    this.#version++
    if (kind !== 'quiet') this.changes[kind].notify()
    return result
  }
}
