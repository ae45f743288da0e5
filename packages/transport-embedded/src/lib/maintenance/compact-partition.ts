import type { RawRecord } from '@millrace/core'
import type { BatchRow } from '../durable/batch-row.ts'
import type { LmdbBackend } from '../durable/lmdb-backend.ts'
import { doubles, ROW_BYTES, ROW_RECORDS, type LmdbContents } from '../durable/lmdb-contents.ts'
import type { StoredTopic } from '../log/log-backend.ts'
import { recordSize } from '../log/record-size.ts'
import { numericSetting } from '../log/topic-settings.ts'

// How many rows one transaction rewrites, because others wait for it.
const ROWS_A_STEP = 256
const BYTES_A_STEP = 1024 * 1024

/** The most records whose keys one pass remembers; the next pass does the rest. */
const RECORDS_A_PASS = 200_000

/** The fewest new records for which a pass is worthwhile. */
const MIN_DIRTY_RECORDS = 1000

const READ_LIMIT = { maxBytes: 1 << 20, maxRecords: 10_000 }

export interface CompactOptions {
  readonly now: number
  /** Whether to run even if little has been added since the last pass. */
  readonly force: boolean
  /** Called between steps; rejects to stop. */
  readonly pause: () => Promise<void>
}

/**
 * One pass over a partition: reads the keys of records appended since the last pass, then rewrites the rows from the
 * beginning without the records that a later one replaces. Each step is a transaction of its own and offsets stay, so
 * readers and a crash in between do no harm. Between two steps another process may compact the same partition, delete
 * records, or delete the topic, so each step looks up where the rows begin now.
 */
export async function compactPartition(
  backend: LmdbBackend,
  { topic: name, partition }: { readonly topic: string; readonly partition: number },
  { now, force, pause }: CompactOptions,
): Promise<void> {
  const found = backend.read((contents) => {
    const topic = contents.topic(name)
    if (topic === undefined) return undefined
    const progress = contents.fact(progressFact(topic, partition))
    return {
      topic,
      ...contents.bounds(topic, partition),
      cleanedTo: progress?.readDoubleLE(0) ?? 0,
      /** Records that were left up to that offset. */
      left: progress?.readDoubleLE(8) ?? 0,
    }
  })
  if (found === undefined) return
  const { topic, start, end, cleanedTo, left } = found
  const dirtyFrom = Math.max(start, cleanedTo)
  if (dirtyFrom >= end || (!force && end - dirtyFrom < Math.max(MIN_DIRTY_RECORDS, left))) return

  const last = new Map<string, number>()
  let to = dirtyFrom
  while (to < end && to - dirtyFrom < RECORDS_A_PASS) {
    const read = backend.read((contents) => {
      if (!isThere(contents, topic)) return undefined
      const bounds = contents.bounds(topic, partition)
      const offset = Math.max(to, bounds.start)
      return offset < bounds.end
        ? contents.slice(topic, { partition, offset }, READ_LIMIT)
        : { records: [], nextOffset: bounds.end }
    })
    if (read === undefined) return
    for (const { key, offset } of read.records) if (key !== null) last.set(key.toString('latin1'), offset)
    to = read.nextOffset
    await pause()
  }

  const rule = { last, cleanedTo, tombstonesBefore: now - numericSetting(topic, 'delete.retention.ms') }
  let kept = 0
  for (let base = start; base < to;) {
    const bounds = { from: base, to }
    const step = await backend.write('quiet', (contents) => {
      if (!isThere(contents, topic)) return undefined
      return rewriteRows(new MergedRows(contents, topic, partition), bounds, rule)
    })
    if (step === undefined) return
    kept += step.kept
    base = step.next
    await pause()
  }
  await backend.write('quiet', (contents) => {
    const progress = progressFact(topic, partition)
    // A pass of another process may have progressed further meanwhile.
    const cleaned = contents.fact(progress)?.readDoubleLE(0) ?? 0
    if (isThere(contents, topic) && cleaned < to) contents.putFact(progress, doubles(to, kept))
  })
}

/** Returns false if the topic was deleted or recreated: then its rows are gone. */
function isThere(contents: LmdbContents, topic: StoredTopic): boolean {
  return contents.topic(topic.name)?.id === topic.id
}

/** How far a partition is compacted, and how many records were left then. */
function progressFact({ number }: StoredTopic, partition: number): readonly (string | number)[] {
  return ['compacted', number, partition]
}

function rewriteRows(
  rows: MergedRows,
  { from, to }: { readonly from: number; readonly to: number },
  rule: CompactionRule,
): { readonly next: number; readonly kept: number } {
  let base = rows.baseOf(from)
  let kept = 0
  let bytes = 0
  for (let step = 0; base < to && step < ROWS_A_STEP && bytes < BYTES_A_STEP; step++) {
    const { row, left } = rows.add(base, rule)
    bytes += row.bytes
    kept += left.length
    base += row.span
  }
  rows.flush()
  return { next: base, kept }
}

interface Rewritten {
  readonly base: number
  readonly row: BatchRow
  /** The remaining records. */
  readonly left: readonly RawRecord[]
}

/**
 * Joins neighbouring rows as long as they fit into one. Otherwise a compacted topic would keep a row, perhaps an empty
 * one, for every append ever made.
 */
class MergedRows {
  readonly #contents: LmdbContents
  readonly #topic: StoredTopic
  readonly #partition: number
  #rows: Rewritten[] = []
  #records = 0
  #bytes = 0

  constructor(contents: LmdbContents, topic: StoredTopic, partition: number) {
    this.#contents = contents
    this.#topic = topic
    this.#partition = partition
  }

  /**
   * The beginning of the row that has this offset, or of the first one after it: another pass may have merged rows
   * since.
   */
  baseOf(offset: number): number {
    const { start, end } = this.#contents.bounds(this.#topic, this.#partition)
    if (offset <= start || offset >= end) return Math.max(offset, start)
    return this.#contents.baseOf(this.#topic, { partition: this.#partition, offset })
  }

  /** Adds the row that begins at `base`, without the records that the rule removes. */
  add(base: number, rule: CompactionRule): Rewritten {
    const row = this.#contents.row(this.#topic, this.#partition, base)
    const left = row.records.filter((record) => survives(record, row.appendedAt, rule))
    const bytes = left.reduce((sum, record) => sum + recordSize(record), 0)
    if (this.#records + left.length > ROW_RECORDS || this.#bytes + bytes > ROW_BYTES) this.flush()
    const rewritten = { base, row, left }
    this.#rows.push(rewritten)
    this.#records += left.length
    this.#bytes += bytes
    return rewritten
  }

  /** Writes the added records, if they differ from the stored ones. */
  flush(): void {
    const [first, ...others] = this.#rows
    const changed = others.length > 0 || (first !== undefined && first.left.length < first.row.records.length)
    if (first !== undefined && changed) {
      const records = this.#rows.flatMap(({ left }) => left)
      for (const { base } of others) this.#contents.removeRow(this.#topic, this.#partition, base)
      this.#contents.putRow(this.#topic, this.#partition, {
        base: first.base,
        span: this.#rows.reduce((sum, { row }) => sum + row.span, 0),
        appendedAt: Math.max(...this.#rows.map(({ row }) => row.appendedAt)),
        records,
        deltas: records.map(({ offset }) => offset - first.base),
      })
    }
    this.#rows = []
    this.#records = 0
    this.#bytes = 0
  }
}

/** What one pass of compaction knows. */
interface CompactionRule {
  /** Last offset of each key (as latin1 text) among the records added since the pass before. */
  readonly last: ReadonlyMap<string, number>
  /** Where the previous pass ended. */
  readonly cleanedTo: number
  /** Tombstones appended before this wall time may be removed. */
  readonly tombstonesBefore: number
}

/**
 * Whether compaction keeps a record. Records without a key stay. A tombstone is removed only after an earlier pass has
 * seen it, so that the records it deletes are removed first, and after readers had time to see it.
 */
function survives({ key, value, offset }: RawRecord, appendedAt: number, rule: CompactionRule): boolean {
  if (key === null) return true
  const last = rule.last.get(key.toString('latin1'))
  if (last !== undefined && last > offset) return false
  return value !== null || offset >= rule.cleanedTo || appendedAt >= rule.tombstonesBefore
}
