import type { StorePartition } from '@millrace/core/driver'
import { INTERNAL_PREFIX } from './due-keys.ts'
import { StartIndex } from './start-index.ts'
import { startOf, windowRow } from './window-keys.ts'

/** The most expired rows that one commit deletes: several tasks may do so in one turn of the event loop, within 50 ms. */
const MOST_EXPIRED = 2000
/** How many rows are named that have to stay. */
const MOST_HELD = 500

const NOTHING: ExpiredRows = { rows: [], before: -Infinity, hasMore: false }

interface ExpiredRows {
  readonly rows: readonly Buffer[]
  /** Once they are deleted, no row is left before this time. */
  readonly before: number
  /** More may have expired than one commit deletes. */
  readonly hasMore: boolean
}

/** Rows whose keys begin with a time (`WindowKeys`), and which expire some time after it: they are deleted from the front. */
export class RangeExpiry {
  readonly #store: Pick<StorePartition, 'range'>
  readonly #lastsMs: number
  readonly #starts: StartIndex
  /** What the commit under way deletes. */
  #taken = NOTHING
  /** The first expired row had to stay. */
  #isHeld = false

  constructor(store: Pick<StorePartition, 'range'>, lastsMs: number) {
    this.#store = store
    this.#lastsMs = lastsMs
    this.#starts = new StartIndex(store, INTERNAL_PREFIX)
  }

  /** When the first rows expire; `Infinity` if there are none, or if they have to stay until another commit. */
  get next(): number {
    const { first } = this.#starts
    return first === undefined || this.#isHeld ? Infinity : first + this.#lastsMs
  }

  /** Called for a new row. */
  added(row: Buffer): void {
    this.#starts.add(startOf(row))
  }

  isOver(row: Buffer, time: number): boolean {
    return startOf(row) + this.#lastsMs <= time
  }

  /**
   * The stored rows that expire by the committed watermark, up to the first one that `mustStay`; and that one with some behind
   * it. `hasChanges`: the commit writes rows, so one that has to stay now may not have to afterwards.
   */
  take(
    committed: number,
    mustStay: (row: Buffer, value: Buffer) => boolean,
    hasChanges: boolean,
  ): { readonly expired: readonly Buffer[]; readonly held: readonly Buffer[] } {
    this.#isHeld = false
    if (this.next > committed) return { expired: [], held: [] }
    const to = committed - this.#lastsMs + 1
    const found = this.#store.range({ from: windowRow(0), to: windowRow(to), limit: MOST_EXPIRED })
    const held = found.findIndex(([row, value]) => mustStay(row, value))
    const keys = found.map(([row]) => row)
    const rows = held < 0 ? keys : keys.slice(0, held)
    const hasMore = held < 0 && found.length === MOST_EXPIRED
    // Rows of its time may be left.
    const last = hasMore ? found.at(-1) : found[held]
    this.#isHeld = held === 0 && !hasChanges
    this.#taken = { rows, before: last === undefined ? to : startOf(last[0]), hasMore }
    return { expired: rows, held: held < 0 ? [] : keys.slice(held, held + MOST_HELD) }
  }

  /** Returns how many rows were deleted, and whether more should follow soon. */
  rowsStored(): { readonly deleted: number; readonly hasMore: boolean } {
    const { rows, before, hasMore } = this.#taken
    this.#starts.dropBefore(before)
    this.#taken = NOTHING
    return { deleted: rows.length, hasMore }
  }

  rowsReturned(): void {
    this.#taken = NOTHING
  }
}
