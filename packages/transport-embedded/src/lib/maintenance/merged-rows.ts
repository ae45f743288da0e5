import type { RawRecord } from '@millrace/core'
import type { BatchRow } from '../durable/batch-row.ts'
import { ROW_BYTES, ROW_RECORDS, type LmdbContents } from '../durable/lmdb-contents.ts'
import type { StoredTopic } from '../log/log-backend.ts'
import { recordSize } from '../log/record-size.ts'

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
