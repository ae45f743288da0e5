import type { KeyedRows, RowSpan } from '@millrace/state'
import { News } from './news.ts'
import type { TableWatchers } from './table-watchers.ts'
import type { WatchOptions } from './watch-key.ts'

/** The most changed keys that wait for a reader, and their bytes. Beyond that, it reads all rows again. */
const MOST_WAITING = 10_000
const MOST_WAITING_BYTES = 4 * 1024 * 1024

/**
 * What a watch of many rows gives. `state`: all rows follow, and those that are not among them before `ready` are gone; it
 * comes first, and again whenever changes may have been missed. `ready`: what was committed at `at` has come, and perhaps
 * something newer; the same `at` means the same committed rows.
 */
export type TableChange<K, V> =
  | { readonly type: 'state'; readonly at: string }
  | { readonly type: 'value'; readonly key: K; readonly value: V }
  | { readonly type: 'delete'; readonly key: K }
  | { readonly type: 'ready'; readonly at: string }

export interface WatchedRows<V> extends WatchOptions {
  readonly watchers: TableWatchers
  readonly partitions: readonly KeyedRows<V>[]
  readonly span: RowSpan
}

/**
 * The committed rows of a span, and then what commits change of it. Of a key that changes often, a slow reader gets the
 * newest value. Rejects with `PARTITION_NOT_LOCAL` when a partition leaves the worker.
 */
export async function* watchRows<V>({
  watchers,
  partitions,
  span,
  signal,
}: WatchedRows<V>): AsyncGenerator<TableChange<Buffer, V>> {
  const news = new News(signal)
  const waiting = new WaitingKeys<KeyedRows<V>>()
  const joined: (() => void)[] = []
  const at = (): string => partitions.map((rows) => watchers.toldTo(rows)).join(' ')
  try {
    for (const rows of partitions) {
      const changed = (key: Buffer): void => {
        waiting.add(key, rows)
        news.tell()
      }
      joined.push(watchers.join(rows, { span }, { changed, left: () => news.tell() }))
    }
    for (;;) {
      waiting.clear()
      const first = at()
      yield { type: 'state', at: first }
      for (const rows of partitions)
        for (const chunk of rows.scanCommitted(span))
          for (const [key, value] of chunk) {
            signal?.throwIfAborted()
            yield { type: 'value', key, value }
          }
      yield { type: 'ready', at: first }
      while (!waiting.isOver) {
        await news.wait()
        for (const rows of partitions) rows.assertOpen()
        for (const { key, of: rows } of waiting.taken()) {
          rows.assertOpen()
          const value = rows.committed(key)
          yield value === undefined ? { type: 'delete', key } : { type: 'value', key, value }
        }
        if (!waiting.isOver) yield { type: 'ready', at: at() }
      }
    }
  } finally {
    for (const leave of joined) leave()
    news.close()
  }
}

/** The same with other keys. */
export async function* withKeys<K, L, V>(
  changes: AsyncIterable<TableChange<K, V>>,
  keyOf: (key: K) => L,
): AsyncGenerator<TableChange<L, V>> {
  for await (const change of changes) yield 'key' in change ? { ...change, key: keyOf(change.key) } : change
}

/** Changed keys that the reader has not taken yet; bounded. */
class WaitingKeys<T> {
  readonly #keys = new Map<string, { readonly key: Buffer; readonly of: T }>()
  #bytes = 0
  /** Whether there were too many, so that the keys are no longer known. */
  isOver = false

  add(key: Buffer, of: T): void {
    const name = key.toString('latin1')
    if (this.isOver || this.#keys.has(name)) return
    this.#keys.set(name, { key, of })
    this.#bytes += key.length
    if (this.#keys.size <= MOST_WAITING && this.#bytes <= MOST_WAITING_BYTES) return
    this.#keys.clear()
    this.isOver = true
  }

  /** Takes the keys one by one, including those that arrive meanwhile. */
  *taken(): Generator<{ readonly key: Buffer; readonly of: T }> {
    for (const [name, each] of this.#keys) {
      this.#keys.delete(name)
      this.#bytes -= each.key.length
      yield each
    }
  }

  clear(): void {
    this.#keys.clear()
    this.#bytes = 0
    this.isOver = false
  }
}
