import type { KeyedRows } from '@millrace/state'
import { News } from './news.ts'
import type { TableWatchers } from './table-watchers.ts'

/** How to follow committed values. */
export interface WatchOptions {
  /** Ends the watch: the iteration rejects with its reason. Without one it ends where the loop is left. */
  readonly signal?: AbortSignal | undefined
}

export interface WatchedKey<V, T> extends WatchOptions {
  readonly watchers: TableWatchers
  readonly rows: KeyedRows<V>
  readonly key: Buffer
  /** Reads the committed value. */
  readonly read: () => T
}

/**
 * What `read` gives, now and after each commit that has written the key. A reader that is slow passes over values and gets
 * the newest. Rejects with `PARTITION_NOT_LOCAL` when the partition leaves the worker.
 */
export async function* watchKey<V, T>({ watchers, rows, key, read, signal }: WatchedKey<V, T>): AsyncGenerator<T> {
  const news = new News(signal)
  const tell = (): void => news.tell()
  const leave = watchers.join(rows, { key }, { changed: tell, left: tell })
  try {
    for (;;) {
      signal?.throwIfAborted()
      rows.assertOpen()
      yield read()
      await news.wait()
    }
  } finally {
    leave()
    news.close()
  }
}
