import { partitionKey, type CommitOffset, type OutgoingRecord, type RawRecord } from '@millrace/core'
import { EMPTY_GROUP, type GroupState } from '../log/group-state.ts'
import type { LogWrites, PartitionBounds, ReadLimit, StoredSlice, StoredTopic } from '../log/log-backend.ts'
import { recordSize } from '../log/record-size.ts'

/** What a memory log holds. */
export class MemoryContents implements LogWrites {
  readonly #topics = new Map<string, StoredTopic>()
  readonly #partitions = new Map<number, readonly MemoryPartition[]>()
  readonly #groups = new Map<string, GroupState>()
  readonly #committed = new Map<string, Map<string, CommitOffset>>()
  readonly #epochs = new Map<string, number>()
  readonly #beats = new Map<string, number>()
  #topicsMade = 0

  topic(name: string): StoredTopic | undefined {
    return this.#topics.get(name)
  }

  topics(): readonly StoredTopic[] {
    return [...this.#topics.values()]
  }

  bounds(topic: StoredTopic, partition: number): PartitionBounds {
    return this.#partition(topic, partition)?.bounds ?? { start: 0, end: 0 }
  }

  slice(
    topic: StoredTopic,
    at: { readonly partition: number; readonly offset: number },
    limit: ReadLimit,
  ): StoredSlice {
    return (
      this.#partition(topic, at.partition)?.read(at.offset, limit) ?? { records: [], bytes: 0, nextOffset: at.offset }
    )
  }

  partitions(topic: StoredTopic): readonly MemoryPartition[] {
    return this.#partitions.get(topic.number) ?? []
  }

  group(groupId: string): GroupState {
    return this.#groups.get(groupId) ?? EMPTY_GROUP
  }

  groups(): readonly string[] {
    return [...this.#groups.keys()]
  }

  committed(groupId: string): readonly CommitOffset[] {
    return [...(this.#committed.get(groupId)?.values() ?? [])]
  }

  committedOffset(groupId: string, topic: string, partition: number): CommitOffset | undefined {
    return this.#committed.get(groupId)?.get(partitionKey({ topic, partition }))
  }

  epoch(transactionalId: string): number {
    return this.#epochs.get(transactionalId) ?? 0
  }

  beats(groupId: string, memberId: string): number {
    return this.#beats.get(`${groupId}/${memberId}`) ?? 0
  }

  putTopic(topic: Omit<StoredTopic, 'number'>): void {
    const number = ++this.#topicsMade
    this.#topics.set(topic.name, { ...topic, number })
    this.#partitions.set(
      number,
      Array.from({ length: topic.partitions }, () => new MemoryPartition()),
    )
  }

  addPartitions(name: string, partitions: number): void {
    const topic = this.topic(name)
    if (topic === undefined) return
    const more = Array.from({ length: partitions - topic.partitions }, () => new MemoryPartition())
    this.#topics.set(name, { ...topic, partitions })
    this.#partitions.set(topic.number, [...this.partitions(topic), ...more])
  }

  dropTopic(topic: StoredTopic): void {
    this.#topics.delete(topic.name)
    this.#partitions.delete(topic.number)
    for (const offsets of this.#committed.values()) {
      for (const [key, offset] of offsets) if (offset.topic === topic.name) offsets.delete(key)
    }
  }

  append(topic: StoredTopic, partition: number, records: readonly OutgoingRecord[]): number {
    return this.#partition(topic, partition)?.append(records) ?? 0
  }

  deleteBefore(topic: StoredTopic, partition: number, offset: number): number {
    this.#partition(topic, partition)?.deleteBefore(offset)
    return this.bounds(topic, partition).start
  }

  putGroup(groupId: string, state: GroupState): void {
    this.#groups.set(groupId, state)
  }

  putCommitted(groupId: string, offset: CommitOffset): void {
    let offsets = this.#committed.get(groupId)
    if (offsets === undefined) this.#committed.set(groupId, (offsets = new Map()))
    offsets.set(partitionKey(offset), offset)
  }

  dropGroup(groupId: string): void {
    for (const id of this.group(groupId).members.keys()) this.#beats.delete(`${groupId}/${id}`)
    this.#groups.delete(groupId)
    this.#committed.delete(groupId)
  }

  putEpoch(transactionalId: string, epoch: number): void {
    this.#epochs.set(transactionalId, epoch)
  }

  putBeats(groupId: string, memberId: string, beats: number): void {
    this.#beats.set(`${groupId}/${memberId}`, beats)
  }

  #partition(topic: StoredTopic, partition: number): MemoryPartition | undefined {
    return this.#partitions.get(topic.number)?.[partition]
  }
}

/** Records of one partition in the heap. */
export class MemoryPartition {
  #records: RawRecord[] = []
  #start = 0
  #end = 0

  get bounds(): PartitionBounds {
    return { start: this.#start, end: this.#end }
  }

  get records(): readonly RawRecord[] {
    return this.#records
  }

  append(records: readonly OutgoingRecord[]): number {
    const base = this.#end
    for (const { timestamp, key, value, headers } of records) {
      this.#records.push({ offset: this.#end++, timestamp, key, value, headers })
    }
    return base
  }

  read(offset: number, limit: ReadLimit): StoredSlice {
    const first = this.#indexOf(offset)
    let next = first
    let bytes = 0
    for (; next < this.#records.length && next - first < limit.maxRecords; next++) {
      const record = this.#records[next]
      if (record === undefined) break
      const size = recordSize(record)
      if (next > first && bytes + size > limit.maxBytes) break
      bytes += size
    }
    return { records: this.#records.slice(first, next), bytes, nextOffset: this.#records[next]?.offset ?? this.#end }
  }

  /** Keeps the last record of each key, and those without a key; offsets stay. */
  compact(dropTombstones: boolean): void {
    const last = new Map<string, number>()
    for (const { key, offset } of this.#records) if (key !== null) last.set(key.toString('latin1'), offset)
    this.#records = this.#records.filter(
      ({ key, value, offset }) =>
        key === null || (last.get(key.toString('latin1')) === offset && !(dropTombstones && value === null)),
    )
  }

  deleteBefore(offset: number): void {
    this.#start = Math.min(Math.max(offset, this.#start), this.#end)
    this.#records = this.#records.filter((record) => record.offset >= this.#start)
  }

  /** Index of the first record at or after an offset. */
  #indexOf(offset: number): number {
    // Nothing is missing: the index follows from the offset.
    if (this.#records.length === this.#end - this.#start) return offset - this.#start
    let low = 0
    let high = this.#records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#records[middle]?.offset ?? Infinity) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
