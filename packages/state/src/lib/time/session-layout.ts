import type { StorePartition } from '@millrace/core/driver'
import type { KeyEntry } from '../rows/key-entry.ts'
import type { DueWindow } from './close-queue.ts'
import { LedLayout } from './led-layout.ts'
import { encodedSessions, type Session, sessionRow, type Sessions } from './sessions.ts'
import { keyIn, startOf, windowRow } from './window-keys.ts'
import type { Expired } from './window-layout.ts'

/**
 * The sessions of a key are in one row, which each event changes. Rows by time refer to it: each session has one at its end, or
 * at an earlier end. A session that grows keeps its row by time until that row is due, and then gets another one. A session
 * therefore costs one further row per gap, not per event.
 */
export class SessionLayout<V> extends LedLayout<Sessions<V>> {
  /** Called with rows by time that may be due already. */
  readonly #onMoved: (row: Buffer) => void

  constructor(store: Pick<StorePartition, 'get' | 'range'>, onMoved: (row: Buffer) => void) {
    super(store)
    this.#onMoved = onMoved
  }

  starts(): readonly number[] {
    return []
  }

  dropBefore(): void {}

  changed({ key: row, value }: KeyEntry<Sessions<V>>, before: Sessions<V> = []): number | undefined {
    let first: number | undefined
    for (const session of value ?? []) {
      // The row by time of the earlier session that this one continues refers to it already.
      if (before.some(({ end }) => end >= session.start && end <= session.end)) continue
      this.add(windowRow(session.end, row.subarray(1)))
      first = Math.min(first ?? Infinity, session.end)
    }
    return first
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

  #move(row: Buffer, end: number): void {
    const moved = windowRow(end, keyIn(row))
    if (this.has(moved)) return
    this.add(moved)
    this.#onMoved(moved)
  }

  #stored(row: Buffer): Sessions<Buffer> {
    const bytes = this.store.get(row)
    return bytes === undefined ? [] : encodedSessions(bytes, row)
  }
}
