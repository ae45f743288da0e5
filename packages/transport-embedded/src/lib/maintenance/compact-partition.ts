import type { RawRecord } from '@millrace/core'
import type { LmdbBackend } from '../durable/lmdb-backend.ts'
import { ROW_BYTES, ROW_RECORDS, type LmdbContents } from '../durable/lmdb-contents.ts'
import type { StoredTopic } from '../log/log-backend.ts'
import { numericSetting } from '../log/topic-settings.ts'
import type { BatchRow } from '../durable/batch-row.ts'
import { recordSize } from '../log/record-size.ts'

// Of one transaction, because others wait for it.
const ROWS_A_STEP = 256
const BYTES_A_STEP = 1024 * 1024

/** Most records whose keys are kept in mind by one pass; the next pass does the rest. */
const RECORDS_A_PASS = 200_000

/** A pass over less than this is not worth its while. */
const MIN_DIRTY_RECORDS = 1000

export interface CompactOptions {
  readonly now: number
  /** Also when little has been added since the last pass. */
  readonly force: boolean
  /** Between steps; rejects to stop. */
  readonly pause: () => Promise<void>
}

/** How far a partition is compacted, and what was left of it then. */
interface CompactionProgress {
  readonly cleanedTo: number
  readonly left: number
}

/**
 * One pass over a partition: reads the keys of what was appended since the last pass, then rewrites the rows from the
 * beginning without the records that a later one replaces. Each step is a transaction of its own and offsets stay, so
 * readers and a crash in between do no harm.
 */
export async function compactPartition(
  backend: LmdbBackend,
  at: { readonly topic: string; readonly partition: number },
  options: CompactOptions,
): Promise<void> {
  const found = backend.read((contents) => {
    const topic = contents.topic(at.topic)
    return topic === undefined
      ? undefined
      : { topic, ...contents.bounds(topic, at.partition), ...readProgress(contents, topic, at.partition) }
  })
  if (found === undefined) return
  const { topic, start, end, cleanedTo, left } = found
  const dirtyFrom = Math.max(start, cleanedTo)
  if (dirtyFrom >= end || (!options.force && end - dirtyFrom < Math.max(MIN_DIRTY_RECORDS, left))) return
  const { last, to } = await lastOffsets({ backend, topic, partition: at.partition, end }, dirtyFrom, options)
  const rule: CompactionRule = {
    last,
    cleanedTo,
    tombstonesBefore: options.now - numericSetting(topic, 'delete.retention.ms'),
  }
  let kept = 0
  for (let base = start; base < to;) {
    const from = base
    const step = await backend.write('quiet', (contents) =>
      rewriteRows(contents, { topic, partition: at.partition, from, to }, rule),
    )
    if (step === undefined) return
    kept += step.kept
    base = step.next
    await options.pause()
  }
  await backend.write('quiet', (contents) =>
    writeProgress(contents, topic, at.partition, { cleanedTo: to, left: kept }),
  )
}

interface KeyScan {
  readonly backend: LmdbBackend
  readonly topic: StoredTopic
  readonly partition: number
  readonly end: number
}

/** The last offset of each key, over the rows from `from` on, and where the look ended. */
async function lastOffsets(
  { backend, topic, partition, end }: KeyScan,
  from: number,
  options: CompactOptions,
): Promise<{ readonly last: ReadonlyMap<string, number>; readonly to: number }> {
  const last = new Map<string, number>()
  let base = from
  while (base < end && base - from < RECORDS_A_PASS) {
    const offset = base
    const { records, nextOffset } = backend.read((contents) =>
      contents.slice(topic, { partition, offset }, { maxBytes: 1 << 20, maxRecords: 10_000 }),
    )
    for (const record of records) if (record.key !== null) last.set(record.key.toString('latin1'), record.offset)
    base = nextOffset
    await options.pause()
  }
  return { last, to: base }
}

interface RewriteStep {
  readonly topic: StoredTopic
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** `undefined` when the rows are not there any more: the topic was deleted or made anew. */
function rewriteRows(
  contents: LmdbContents,
  step: RewriteStep,
  rule: CompactionRule,
): { readonly next: number; readonly kept: number } | undefined {
  const { topic, partition, to } = step
  if (contents.topic(topic.name)?.id !== topic.id) return undefined
  const merged = new MergedRows(contents, topic, partition)
  let base = Math.max(step.from, contents.bounds(topic, partition).start)
  let kept = 0
  let bytes = 0
  for (let rows = 0; base < to && rows < ROWS_A_STEP && bytes < BYTES_A_STEP; rows++) {
    const row = contents.row(topic, partition, base)
    const left = row.records.filter((record) => survives(record, row.appendedAt, rule))
    merged.add({ base, row, left })
    bytes += row.bytes
    kept += left.length
    base += row.span
  }
  merged.flush()
  return { next: base, kept }
}

function readProgress(contents: LmdbContents, topic: StoredTopic, partition: number): CompactionProgress {
  const row = contents.fact(['compacted', topic.number, partition])
  return row === undefined ? { cleanedTo: 0, left: 0 } : { cleanedTo: row.readDoubleLE(0), left: row.readDoubleLE(8) }
}

function writeProgress(
  contents: LmdbContents,
  topic: StoredTopic,
  partition: number,
  progress: CompactionProgress,
): void {
  const row = Buffer.alloc(16)
  row.writeDoubleLE(progress.cleanedTo, 0)
  row.writeDoubleLE(progress.left, 8)
  contents.putFact(['compacted', topic.number, partition], row)
}

interface Rewritten {
  readonly base: number
  readonly row: BatchRow
  /** The records that stay. */
  readonly left: readonly RawRecord[]
}

/**
 * Joins neighbouring rows as long as they fit into one. Without it a compacted topic would keep a row, if an empty one,
 * for every append there ever was.
 */
export class MergedRows {
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

  add(rewritten: Rewritten): void {
    const bytes = rewritten.left.reduce((sum, record) => sum + recordSize(record), 0)
    if (this.#records + rewritten.left.length > ROW_RECORDS || this.#bytes + bytes > ROW_BYTES) this.flush()
    this.#rows.push(rewritten)
    this.#records += rewritten.left.length
    this.#bytes += bytes
  }

  /** Writes what has been added, if it differs from what is there. */
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
export interface CompactionRule {
  /** Last offset of each key (as latin1 text) among the records added since the pass before. */
  readonly last: ReadonlyMap<string, number>
  /** Where the pass before ended. */
  readonly cleanedTo: number
  /** Tombstones appended before this wall time may go. */
  readonly tombstonesBefore: number
}

/**
 * Whether compaction keeps a record. Records without a key stay. A tombstone goes only when an earlier pass has seen it,
 * so that whatever it deleted is gone before it, and when readers have had their time to see it.
 */
export function survives({ key, value, offset }: RawRecord, appendedAt: number, rule: CompactionRule): boolean {
  if (key === null) return true
  const last = rule.last.get(key.toString('latin1'))
  if (last !== undefined && last > offset) return false
  return value !== null || offset >= rule.cleanedTo || appendedAt >= rule.tombstonesBefore
}
