import { createHash } from 'node:crypto'
import type { RawRecord } from '@millrace/core'
import type { DueQueue } from '@millrace/worker'
import type { ClosedRows } from './close-progress.ts'
import { keyIn, startOf, windowRow } from './window-keys.ts'

/** The header of a closed window's record, and of a late record in its sink: `{start}/{end}`, in milliseconds since the epoch. */
export const WINDOW_HEADER = 'millrace-window'

const ROWS_PER_CHUNK = 500
/** Limits the row keys, in characters, that are closed beyond an open one: their list must fit in one row. */
const MOST_BEYOND = 64 * 1024
const ZERO = Buffer.alloc(1)

interface GivenKey {
  readonly key: Buffer
  isClosed: boolean
}

/** A window that no event can change any more. */
export interface DueWindow {
  readonly start: number
  readonly end: number
  readonly value: Buffer
}

/** Rows from `from` (included) to `to` (excluded), at most `limit`. */
export interface RowsRange {
  readonly from: Buffer
  readonly to: Buffer
  readonly limit: number
}

export type StoredRow = readonly [key: Buffer, value: Buffer]

/** The rows by time of one partition: as of `WindowLayout`. */
export interface RowsByTime {
  range(options: RowsRange): readonly StoredRow[]
  dueBy(row: Buffer, value: Buffer): DueWindow | undefined
}

export interface CloseQueueOptions {
  readonly rows: RowsByTime
  readonly keyCodec: string
  /** As of the last commit. */
  readonly closed: ClosedRows
  /** The timestamp of a due window whose row has this time. */
  readonly stampOf: (time: number) => number
  /** Called when rows have been closed since the last commit. */
  readonly onProgress: () => void
}

/**
 * Gives out the due windows of one partition in the order of their rows, and reads them from the store. A window is due by
 * the committed watermark, so its rows are committed and no event can change them any more.
 */
export class CloseQueue implements DueQueue {
  readonly keyCodec: string
  onDue: () => void = () => {}
  /** Windows that this worker has closed. */
  count = 0
  readonly #rows: RowsByTime
  readonly #stampOf: (time: number) => number
  readonly #onProgress: () => void
  /** Rows beyond the position that an earlier owner has closed; the queue reads them again and skips them. */
  readonly #before: Set<string>
  /** Rows that were given out and are still beyond the position, in order. */
  #given: GivenKey[] = []
  readonly #byRecord = new Map<RawRecord, GivenKey>()
  #position: string
  #beyond = 0
  #from: Buffer
  #chunk: readonly StoredRow[] = []
  #at = 0
  /** Windows that start before it are due. */
  #bound = -Infinity

  constructor({ rows, keyCodec, closed, stampOf, onProgress }: CloseQueueOptions) {
    this.keyCodec = keyCodec
    this.#rows = rows
    this.#stampOf = stampOf
    this.#onProgress = onProgress
    this.#before = new Set(closed.beyond)
    this.#position = closed.position
    this.#from = closed.position === '' ? windowRow(0) : behind(Buffer.from(closed.position, 'latin1'))
  }

  /** The rows closed so far. */
  get closed(): ClosedRows {
    const beyond = this.#given.filter(({ isClosed }) => isClosed).map(({ key }) => key.toString('latin1'))
    return { position: this.#position, beyond: [...beyond, ...this.#before], to: Math.max(0, this.closedTo) }
  }

  /** All windows that start before it are closed. */
  get closedTo(): number {
    const [first] = this.#given
    if (first !== undefined) return startOf(first.key)
    const next = this.#fill() ? this.#chunk[this.#at] : undefined
    return next === undefined ? this.#bound : startOf(next[0])
  }

  /** Makes all windows due that start before `bound`. */
  extend(bound: number): void {
    if (bound <= this.#bound) return
    this.#bound = bound
    if (this.#fill()) this.onDue()
  }

  next(): RawRecord | undefined {
    while (this.#beyond < MOST_BEYOND && this.#fill()) {
      const row = this.#chunk[this.#at++]
      if (row === undefined) return undefined
      const [key, value] = row
      const due = this.#before.delete(key.toString('latin1')) ? undefined : this.#rows.dueBy(key, value)
      const given: GivenKey = { key, isClosed: due === undefined }
      this.#given.push(given)
      if (due === undefined) {
        this.#pass()
        continue
      }
      const record = this.#record(key, due)
      this.#byRecord.set(record, given)
      return record
    }
    return undefined
  }

  finish(record: RawRecord): void {
    const given = this.#byRecord.get(record)
    if (given === undefined) return
    this.#byRecord.delete(record)
    const wasFull = this.#beyond >= MOST_BEYOND
    given.isClosed = true
    this.count++
    this.#beyond += given.key.length
    this.#pass()
    this.#onProgress()
    if (wasFull && this.#beyond < MOST_BEYOND) this.onDue()
  }

  time(): number {
    const { closedTo } = this
    return closedTo === -Infinity ? -Infinity : this.#stampOf(closedTo)
  }

  /** Called when a new row may sort before rows that have been read already. */
  insert(row: Buffer): void {
    if (Buffer.compare(row, this.#from) >= 0) return
    let at = this.#at
    while (at < this.#chunk.length && Buffer.compare(this.#chunk[at]?.[0] ?? row, row) < 0) at++
    this.#chunk = this.#chunk.toSpliced(at, 0, [row, ZERO])
  }

  /** Whether there is a row to give out; reads the next rows if needed. */
  #fill(): boolean {
    if (this.#at < this.#chunk.length) return true
    if (this.#bound === -Infinity || this.#bound <= 0) return false
    const to = windowRow(this.#bound)
    if (Buffer.compare(this.#from, to) >= 0) return false
    this.#chunk = this.#rows.range({ from: this.#from, to, limit: ROWS_PER_CHUNK })
    this.#at = 0
    const last = this.#chunk.at(-1)
    this.#from = last === undefined ? to : behind(last[0])
    return last !== undefined
  }

  /** Moves the position past the closed rows up to the first gap. */
  #pass(): void {
    let passed = 0
    for (const { key, isClosed } of this.#given) {
      if (!isClosed) break
      passed++
      this.#beyond -= key.length
      this.#position = key.toString('latin1')
    }
    if (passed > 0) this.#given.splice(0, passed)
    if (this.#given.length === 0) this.#beyond = 0
  }

  #record(row: Buffer, { start, end, value }: DueWindow): RawRecord {
    const headers = [[WINDOW_HEADER, Buffer.from(`${start}/${end}`)]] as const
    return { offset: identityOf(row), key: keyIn(row), value, headers, timestamp: this.#stampOf(startOf(row)) }
  }
}

/** The first key that sorts after this one. */
function behind(key: Buffer): Buffer {
  return Buffer.concat([key, ZERO])
}

/** The offset of a row's event: 48 bits of a digest, so that it is the same after every restart. */
function identityOf(key: Buffer): number {
  return createHash('sha1').update(key).digest().readUIntBE(0, 6)
}
