import type { StorePartition } from '@millrace/core/driver'
import type { CurrentEvent } from '@millrace/worker'

const ROWS_PER_CHUNK = 500
const ZERO = Buffer.alloc(1)

/** The part of the rows that a scan uses. */
export interface ScannedRows<V> {
  assertOpen(): void
  unstoredKeys(): Iterable<Buffer>
  /** The value that the event sees; `stored` is what the store has, if the scan has read that. */
  peek(key: Buffer, stored: Buffer | undefined, event: CurrentEvent | undefined): V | undefined
}

/** Which rows to read, in which order. */
export interface RowSpan {
  /** First key, included. */
  readonly from?: Buffer | undefined
  /** End key, excluded. */
  readonly to?: Buffer | undefined
  /** From the last key down. */
  readonly reverse?: boolean | undefined
}

/**
 * Merges the stored rows with the keys that the store may not have yet. Those are listed once, at the start: a key added
 * later may or may not be seen, as with any `Map` that changes while it is read, but each key comes at most once, with the
 * value that it has when its chunk is made.
 */
export function* scanRows<V>(
  rows: ScannedRows<V>,
  store: StorePartition,
  { event, span: { from, to, reverse = false } }: { readonly event: CurrentEvent | undefined; readonly span: RowSpan },
): Generator<readonly (readonly [key: Buffer, value: V])[]> {
  const order = reverse ? -1 : 1
  const isInside = (key: Buffer): boolean =>
    (from === undefined || key.compare(from) >= 0) && (to === undefined || key.compare(to) < 0)
  const extra = [...rows.unstoredKeys()].filter(isInside).sort((a, b) => order * a.compare(b))
  let at = 0
  let [start, end] = [from, to]
  for (let more = true; more;) {
    rows.assertOpen()
    const stored = store.range({
      ...(start === undefined ? {} : { from: start }),
      ...(end === undefined ? {} : { to: end }),
      limit: ROWS_PER_CHUNK,
      reverse,
    })
    more = stored.length === ROWS_PER_CHUNK
    const chunk: (readonly [Buffer, V])[] = []
    const add = (key: Buffer, bytes: Buffer | undefined): void => {
      const value = rows.peek(key, bytes, event)
      if (value !== undefined) chunk.push([key, value])
    }
    for (const [key, bytes] of stored) {
      let next = extra[at]
      while (next !== undefined && order * next.compare(key) < 0) {
        add(next, undefined)
        next = extra[++at]
      }
      if (next !== undefined && next.equals(key)) at++
      add(key, bytes)
    }
    const last = stored.at(-1)?.[0]
    if (last !== undefined) {
      if (reverse) end = last
      else start = Buffer.concat([last, ZERO])
    }
    if (!more) for (const key of extra.slice(at)) add(key, undefined)
    if (chunk.length > 0) yield chunk
  }
}
