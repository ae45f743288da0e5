import type { Row, StorePartition } from '@millrace/core/driver'
import { AFTER_INTERNAL, COUNT_KEY, INTERNAL_PREFIX } from './due-keys.ts'

const ROWS_PER_READ = 10_000

/** The count is unknown, because a part of a commit is missing. */
const UNKNOWN = '?'

/**
 * The number of internal rows in a store, from which the number of the other rows follows. It is kept in a row of its own. Each
 * commit first invalidates the count, and writes the new one last, with the number of all rows. If a crash has left a part of a
 * commit in the changelog, or late rows of an earlier owner have overwritten newer ones, the internal rows are counted anew.
 */
export class RowCounts {
  /** The number of internal rows, including this one. */
  readonly internal: number
  /** Whether the store had this row: 0 or 1. */
  readonly own: number
  readonly #store: Pick<StorePartition, 'range'>

  constructor(store: Pick<StorePartition, 'get' | 'range' | 'rows'>) {
    this.#store = store
    const count = store.get(COUNT_KEY)?.toString()
    this.own = count === undefined ? 0 : 1
    const [all, internal = 0] = (count ?? '0').split(' ').map(Number)
    this.internal = all === store.rows ? internal : this.#count()
  }

  /** The count rows of a commit: the numbers of the state's rows and of the other internal rows after it. */
  around(
    rows: readonly Row[],
    { state, internal }: { readonly state: number; readonly internal: number },
  ): readonly Row[] {
    return [
      { key: COUNT_KEY, value: Buffer.from(UNKNOWN) },
      ...rows,
      { key: COUNT_KEY, value: Buffer.from(`${state + internal + 1} ${internal + 1}`) },
    ]
  }

  #count(): number {
    let count = 0
    let from: Buffer = INTERNAL_PREFIX
    for (;;) {
      const rows = this.#store.range({ from, to: AFTER_INTERNAL, limit: ROWS_PER_READ })
      count += rows.length
      const last = rows.at(-1)
      if (rows.length < ROWS_PER_READ || last === undefined) return count
      from = Buffer.concat([last[0], Buffer.alloc(1)])
    }
  }
}
