import type { RangeOptions } from 'lmdb'
import { MillraceError, type CommitOffset, type OutgoingRecord, type RawRecord } from '@millrace/core'
import { EMPTY_GROUP, type GroupState } from '../log/group-state.ts'
import type { LogWrites, PartitionBounds, ReadLimit, StoredSlice, StoredTopic } from '../log/log-backend.ts'
import { recordSize } from '../log/record-size.ts'
import { decodeFrame, decodeRow, encodeRow, type BatchRow, type RowContents } from './batch-row.ts'
import { decodeGroup, encodeGroup } from './group-row.ts'
import type { LmdbTables } from './lmdb-tables.ts'
import { ParsedRows } from './checked-table.ts'

/** Size of a row: large enough for speed, small enough for a reader in its middle. */
export const ROW_BYTES: number = 128 * 1024
export const ROW_RECORDS: number = 1000

/** How many rows are read at once, so that a long series of emptied rows does not block the event loop. */
const ROWS_A_SLICE = 1000

/** How many rows one write deletes, because others wait for it. */
const ROWS_A_DELETION = 256

/** The contents of an LMDB log. Writes must be made within a transaction of its environment. */
export class LmdbContents implements LogWrites {
  readonly #tables: LmdbTables
  readonly #now: () => number
  readonly #topics = new ParsedRows<StoredTopic>((row, name) =>
    JSON.parse(this.#tables.topics.open(row, name).toString()),
  )
  readonly #groups = new ParsedRows<GroupState>((row, id) => decodeGroup(this.#tables.groups.open(row, id)))

  constructor(tables: LmdbTables, now: () => number) {
    this.#tables = tables
    this.#now = now
  }

  topic(name: string): StoredTopic | undefined {
    return this.#topics.get(name, this.#tables.topics.sealed(name))
  }

  topics(): readonly StoredTopic[] {
    return [...this.#tables.topics.keys({ snapshot: false })].flatMap((name) => this.topic(name) ?? [])
  }

  bounds(topic: StoredTopic, partition: number): PartitionBounds {
    const key = [topic.number, partition]
    const row = this.#tables.bounds.get(key)
    // Without this row, an existing partition would look like an empty one.
    if (row === undefined && partition < topic.partitions) throw this.#tables.bounds.damaged(key)
    return row === undefined ? { start: 0, end: 0 } : { start: row.readDoubleLE(0), end: row.readDoubleLE(8) }
  }

  slice(
    topic: StoredTopic,
    at: { readonly partition: number; readonly offset: number },
    limit: ReadLimit,
  ): StoredSlice {
    const { end } = this.bounds(topic, at.partition)
    const records: RawRecord[] = []
    let bytes = 0
    let base = this.baseOf(topic, at)
    for (let rows = 0; base < end && rows < ROWS_A_SLICE && records.length < limit.maxRecords; rows++) {
      const row = this.row(topic, at.partition, base)
      if (records.length > 0 && bytes + row.bytes > limit.maxBytes) break
      for (const record of row.records) {
        if (record.offset < at.offset) continue
        records.push(record)
        if (base < at.offset) bytes += recordSize(record)
      }
      if (base >= at.offset) bytes += row.bytes
      base += row.span
    }
    return { records, bytes, nextOffset: base }
  }

  /** The row that starts at an offset. Throws `LOG_CORRUPT` if it is damaged or missing. */
  row(topic: StoredTopic, partition: number, base: number): BatchRow {
    const bytes = this.#tables.records.get([topic.number, partition, base])
    const row = bytes === undefined ? undefined : decodeRow(bytes, { topic: topic.number, partition, base })
    if (row === undefined || row.span < 1) throw this.#damaged(topic, partition, base)
    return row
  }

  /** Span and append time of the row that starts at an offset. */
  frame(topic: StoredTopic, partition: number, base: number): { readonly span: number; readonly appendedAt: number } {
    const bytes = this.#tables.records.get([topic.number, partition, base])
    const frame = bytes === undefined ? undefined : decodeFrame(bytes, { topic: topic.number, partition, base })
    if (frame === undefined || frame.span < 1) throw this.#damaged(topic, partition, base)
    return frame
  }

  /** The beginning of the row that has an offset. Throws `LOG_CORRUPT` if there is none. */
  baseOf(topic: StoredTopic, at: { readonly partition: number; readonly offset: number }): number {
    const key = [topic.number, at.partition, at.offset]
    if (this.#tables.records.doesExist(key)) return at.offset
    const before = { start: key, end: [topic.number, at.partition], reverse: true, limit: 1, snapshot: false }
    for (const found of this.#tables.records.getKeys(before)) {
      const base = found[2] ?? 0
      if (base + this.frame(topic, at.partition, base).span > at.offset) return base
    }
    throw this.#damaged(topic, at.partition, at.offset)
  }

  group(groupId: string): GroupState {
    return this.#groups.get(groupId, this.#tables.groups.sealed(groupId)) ?? EMPTY_GROUP
  }

  groups(): readonly string[] {
    return [...this.#tables.groups.keys({ snapshot: false })]
  }

  committed(groupId: string): readonly CommitOffset[] {
    const offsets: CommitOffset[] = []
    for (const { group, offset } of this.commits({ start: [groupId], snapshot: false })) {
      if (group !== groupId) break
      offsets.push(offset)
    }
    return offsets
  }

  /** Commits of groups, including groups without members. */
  *commits(range?: RangeOptions): Generator<{ readonly group: string; readonly offset: CommitOffset }> {
    for (const { key, value } of this.#tables.offsets.entries(range))
      yield { group: String(key[0]), offset: JSON.parse(value.toString()) }
  }

  committedOffset(groupId: string, topic: string, partition: number): CommitOffset | undefined {
    const row = this.#tables.offsets.get([groupId, topic, partition])
    return row === undefined ? undefined : JSON.parse(row.toString())
  }

  epoch(transactionalId: string): number {
    return this.#tables.epochs.get(transactionalId)?.readDoubleLE(0) ?? 0
  }

  beats(groupId: string, memberId: string): number {
    return this.#tables.beats.get([groupId, memberId])?.readDoubleLE(0) ?? 0
  }

  putTopic(topic: Omit<StoredTopic, 'number'>): void {
    const number = (this.#tables.facts.get(['topics made'])?.readDoubleLE(0) ?? 0) + 1
    this.#tables.facts.put(['topics made'], doubles(number))
    const stored: StoredTopic = { ...topic, number }
    this.#tables.topics.put(topic.name, Buffer.from(JSON.stringify(stored)))
    for (let partition = 0; partition < topic.partitions; partition++)
      this.putBounds(stored, partition, { start: 0, end: 0 })
  }

  dropTopic(topic: StoredTopic): void {
    this.#tables.topics.remove(topic.name)
    const range = { start: [topic.number], end: [topic.number + 1] }
    for (const key of [...this.#tables.records.getKeys(range)]) void this.#tables.records.remove(key)
    for (const key of [...this.#tables.bounds.keys(range)]) this.#tables.bounds.remove(key)
    for (const key of [...this.#tables.offsets.keys()]) if (key[1] === topic.name) this.#tables.offsets.remove(key)
  }

  append(topic: StoredTopic, partition: number, records: readonly OutgoingRecord[]): number {
    const { start, end } = this.bounds(topic, partition)
    const appendedAt = this.#now()
    for (let from = 0; from < records.length;) {
      const to = rowEnd(records, from)
      this.putRow(topic, partition, {
        base: end + from,
        span: to - from,
        appendedAt,
        records: from === 0 && to === records.length ? records : records.slice(from, to),
      })
      from = to
    }
    this.putBounds(topic, partition, { start, end: end + records.length })
    return end
  }

  /** Replaces a row that starts at the same offset. */
  putRow(topic: StoredTopic, partition: number, row: RowContents & { readonly base: number }): void {
    const { base } = row
    const bytes = encodeRow(row, { topic: topic.number, partition, base })
    void this.#tables.records.put([topic.number, partition, base], bytes)
  }

  removeRow(topic: StoredTopic, partition: number, base: number): void {
    void this.#tables.records.remove([topic.number, partition, base])
  }

  deleteBefore(topic: StoredTopic, partition: number, offset: number): number {
    const { start: first, end } = this.bounds(topic, partition)
    const before = Math.min(offset, end)
    let start = first
    for (let rows = 0; start < before && rows < ROWS_A_DELETION; rows++) {
      const { span } = this.frame(topic, partition, start)
      if (start + span > before) {
        this.#beginRowAt(topic, partition, { base: start, offset: before })
        start = before
      } else {
        this.removeRow(topic, partition, start)
        start += span
      }
    }
    if (start > first) this.putBounds(topic, partition, { start, end })
    return start
  }

  putGroup(groupId: string, state: GroupState): void {
    for (const id of this.group(groupId).members.keys()) {
      if (!state.members.has(id)) this.#tables.beats.remove([groupId, id])
    }
    this.#tables.groups.put(groupId, encodeGroup(state))
  }

  putCommitted(groupId: string, offset: CommitOffset): void {
    const { topic, partition, offset: next, metadata } = offset
    this.#tables.offsets.put(
      [groupId, topic, partition],
      Buffer.from(JSON.stringify({ topic, partition, offset: next, metadata })),
    )
  }

  dropGroup(groupId: string): void {
    for (const id of this.group(groupId).members.keys()) this.#tables.beats.remove([groupId, id])
    for (const { topic, partition } of this.committed(groupId)) this.#tables.offsets.remove([groupId, topic, partition])
    this.#tables.groups.remove(groupId)
  }

  putEpoch(transactionalId: string, epoch: number): void {
    this.#tables.epochs.put(transactionalId, doubles(epoch))
  }

  putBeats(groupId: string, memberId: string, beats: number): void {
    this.#tables.beats.put([groupId, memberId], doubles(beats))
  }

  /** A fact by name, for the log's own data. */
  fact(name: readonly (string | number)[]): Buffer | undefined {
    return this.#tables.facts.get([...name])
  }

  putFact(name: readonly (string | number)[], value: Buffer): void {
    this.#tables.facts.put([...name], value)
  }

  /**
   * Keeps of a row only what is from an offset on, as a row that starts there, because a partition always begins with a
   * row.
   */
  #beginRowAt(
    topic: StoredTopic,
    partition: number,
    { base, offset }: { readonly base: number; readonly offset: number },
  ): void {
    const { span, appendedAt, records } = this.row(topic, partition, base)
    const left = records.filter((record) => record.offset >= offset)
    this.removeRow(topic, partition, base)
    this.putRow(topic, partition, {
      base: offset,
      span: base + span - offset,
      appendedAt,
      records: left,
      deltas: left.map((record) => record.offset - offset),
    })
  }

  /** Sets where a partition begins and ends; its rows must agree. */
  putBounds(topic: StoredTopic, partition: number, { start, end }: PartitionBounds): void {
    this.#tables.bounds.put([topic.number, partition], doubles(start, end))
  }

  #damaged(topic: StoredTopic, partition: number, offset: number): MillraceError {
    return new MillraceError(
      'LOG_CORRUPT',
      `In the log in "${this.#tables.directory}" records of topic "${topic.name}" partition ${partition} from offset ${offset} on are damaged or missing.`,
    )
  }
}

/** The end of the row that starts at `from`. */
function rowEnd(records: readonly OutgoingRecord[], from: number): number {
  let bytes = 0
  let to = from
  for (; to < records.length && to - from < ROW_RECORDS; to++) {
    const record = records[to]
    if (record === undefined) break
    bytes += recordSize(record)
    if (bytes > ROW_BYTES && to > from) break
  }
  return to
}

/** Numbers in the format of rows. */
export function doubles(...values: readonly number[]): Buffer {
  const row = Buffer.alloc(8 * values.length)
  values.forEach((value, place) => row.writeDoubleLE(value, 8 * place))
  return row
}
