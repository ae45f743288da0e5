import type { Row, StorePartition } from '@millrace/core/driver'
import { SortedKeys } from '../memory/sorted-keys.ts'
import type { KeyEntry } from '../rows/key-entry.ts'
import type { DueWindow, RowsRange, StoredRow } from './close-queue.ts'
import { encodedSessions, isSessionRow, type Session, sessionRow, type Sessions } from './sessions.ts'
import { keyIn, startOf, windowRow } from './window-keys.ts'
import type { Expired, WindowLayout } from './window-layout.ts'

/** Statistics stop counting at this number. */
const MOST_COUNTED = 1000
const TEXT = 'latin1'
const LEAD: Buffer = Buffer.from([1])

/**
 * The sessions of a key are in one row, which each event changes. Rows by time refer to it: each session has one at its end, or
 * at an earlier end. A session that grows keeps its row by time until that row is due, and then gets another one. A session
 * therefore costs one further row per gap, not per event.
 */
export class SessionLayout<V> implements WindowLayout<Sessions<V>> {
  readonly #store: Pick<StorePartition, 'get' | 'range'>
  /** Called with rows by time that may be due already. */
  readonly #onMoved: (row: Buffer) => void
  /** Rows by time that the store does not have yet. */
  #added = new SortedKeys([])
  #fresh: string[] = []
  #taken: string[] = []

  constructor(store: Pick<StorePartition, 'get' | 'range'>, onMoved: (row: Buffer) => void) {
    this.#store = store
    this.#onMoved = onMoved
  }

  get first(): number | undefined {
    return this.from(0)
  }

  from(time: number): number | undefined {
    return this.#read(time, Infinity, 1)[0]
  }

  between(from: number, to: number): readonly number[] {
    return this.#read(from, to, MOST_COUNTED)
  }

  dropBefore(): void {}

  changed({ key: row, value }: KeyEntry<Sessions<V>>, before: Sessions<V> = []): number | undefined {
    let first: number | undefined
    for (const session of value ?? []) {
      // The row by time of the earlier session that this one continues refers to it already.
      if (before.some(({ end }) => end >= session.start && end <= session.end)) continue
      this.#add(windowRow(session.end, row.subarray(1)))
      first = Math.min(first ?? Infinity, session.end)
    }
    return first
  }

  range({ from, to, limit }: RowsRange): readonly StoredRow[] {
    const stored = this.#store.range({ from, to, limit })
    const added = this.#added.range(from.toString(TEXT), to.toString(TEXT), limit)
    if (added.length === 0) return stored
    const found = new Map(stored.map((row) => [row[0].toString(TEXT), row]))
    for (const text of added) found.set(text, [Buffer.from(text, TEXT), LEAD])
    const sorted = [...found.values()].sort(([a], [b]) => Buffer.compare(a, b))
    return sorted.slice(0, limit)
  }

  takeRows(): readonly Row[] {
    this.#taken = this.#fresh
    this.#fresh = []
    return this.#taken.map((row) => ({ key: Buffer.from(row, TEXT), value: LEAD }))
  }

  rowsStored(): number {
    const { length } = this.#taken
    for (const row of this.#taken) this.#added.delete(row)
    this.#taken = []
    return length
  }

  rowsReturned(): void {
    this.#fresh = [...this.#taken, ...this.#fresh]
    this.#taken = []
  }

  firstUnstored(entries: Iterable<KeyEntry<Sessions<V>>>): number {
    let first = Infinity
    for (const entry of entries) {
      const stored = this.#stored(entry.key)
      // The store has the current value of a session that has not changed.
      const isStored = ({ start, end }: Session<unknown>): boolean =>
        stored.some((one) => one.start === start && one.end === end)
      const seen = [...(entry.value ?? []), ...(entry.peek(entry.holder) ?? [])]
      for (const session of seen) if (!isStored(session)) first = Math.min(first, session.end)
      for (const { start, end } of stored)
        if (!seen.every((one) => one.end < start || one.start > end || (one.start === start && one.end === end)))
          first = Math.min(first, end)
    }
    return first
  }

  dueBy(row: Buffer): DueWindow | undefined {
    const time = startOf(row)
    const found = this.#stored(sessionRow(keyIn(row))).find(({ start, end }) => start <= time && time <= end)
    if (found === undefined || found.end === time) return found
    this.#move(row, found.end)
    return undefined
  }

  expiredWith(row: Buffer, { before, isUnstored }: Expired): readonly Buffer[] {
    const own = sessionRow(keyIn(row))
    const last = this.#stored(own).at(-1)
    if (last === undefined) return [row]
    const end = isUnstored(own) ? Math.max(last.end, before) : last.end
    if (end < before) return [row, own]
    // The rest of the row expires later, and needs a row by time for that.
    this.#move(row, end)
    return [row]
  }

  isOwn(row: Buffer): boolean {
    return isSessionRow(row)
  }

  #move(row: Buffer, end: number): void {
    const moved = windowRow(end, keyIn(row))
    if (this.#added.has(moved.toString(TEXT)) || this.#store.get(moved) !== undefined) return
    this.#add(moved)
    this.#onMoved(moved)
  }

  #add(row: Buffer): void {
    const text = row.toString(TEXT)
    if (this.#added.has(text)) return
    this.#added.add(text)
    this.#fresh.push(text)
  }

  #stored(row: Buffer): Sessions<Buffer> {
    const bytes = this.#store.get(row)
    return bytes === undefined ? [] : encodedSessions(bytes, row)
  }

  #read(from: number, to: number, limit: number): readonly number[] {
    const range = { from: windowRow(from), to: to === Infinity ? LEAD : windowRow(to), limit }
    return this.range(range).map(([row]) => startOf(row))
  }
}
