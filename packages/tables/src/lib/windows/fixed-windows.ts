import {
  FixedLayout,
  type KeyEntry,
  keyIn,
  type RowShape,
  type TaskLocator,
  type WindowKey,
  WindowKeys,
  windowRow,
} from '@millrace/state'
import type { CurrentEvent } from '@millrace/worker'
import type { TimeRange } from './key-windows.ts'
import type { MissedWindow } from './late-events.ts'
import type { Window, WindowGrid, WindowValue } from './window-options.ts'
import {
  type ChangeIn,
  type FoundValue,
  partitionOf,
  windowLocator,
  type WindowRows,
  type WindowRowsOptions,
  type Written,
  valuesByStart,
} from './window-rows.ts'

/** Tumbling and hopping windows: a row for each window and key. */
export class FixedWindows<K, V> implements WindowRows<K, V> {
  readonly locator: TaskLocator<WindowKey<K>, V>
  readonly #values: RowShape<V>
  readonly #keys: WindowKeys<K>
  readonly #grid: WindowGrid
  /** Windows that an event has written with a time other than its own. */
  readonly #elsewhere = new WeakMap<CurrentEvent, Set<number>>()

  constructor(grid: WindowGrid, options: WindowRowsOptions<K, V>) {
    const { keys, table, windows } = options
    this.#keys = new WindowKeys(keys)
    this.#grid = grid
    this.#values = valuesByStart(this.#keys, table)
    const { graceMs, retentionMs } = windows
    const { sizeMs } = grid
    this.locator = windowLocator(
      options,
      { keys: this.#keys, rows: this.#values },
      {
        sizeMs,
        graceMs,
        retentionMs,
        layout: (store) => new FixedLayout(store, sizeMs),
      },
    )
  }

  timeOf({ start }: Window): number {
    return start
  }

  entry(key: K, event: CurrentEvent | undefined): KeyEntry<V> {
    return this.#entry({ start: 0, key }, event)
  }

  write(key: K, time: number, event: CurrentEvent, change: ChangeIn<V>): Written {
    let windows = 0
    let missed: MissedWindow | undefined
    if (time !== event.timestamp) this.#note(time, event)
    for (const start of startsAt(this.#grid, time)) {
      let entry = this.locator.writing({ start, key }, event)
      const partition = partitionOf(entry)
      partition.time.writtenBy(event)
      const lateByMs = partition.time.at(event) - partition.closeOf(start)
      const window = { start, end: start + this.#grid.sizeMs }
      if (lateByMs >= 0) {
        missed = { ...window, lateByMs }
        continue
      }
      const value = entry.rows.guard(change(entry.view(event), window, entry))
      // `change` may have read so many rows that the entry was evicted from the cache.
      if (entry.evicted) entry = this.locator.writing({ start, key }, event)
      this.locator.write(entry, event, value)
      windows++
    }
    return { windows, missed }
  }

  at(key: K, time: number, event: CurrentEvent | undefined): FoundValue<V> {
    const start = newestStart(this.#grid, time)
    const entry = this.#entry({ start: Math.max(0, start), key }, event)
    const isThere = start >= 0 && partitionOf(entry).isKept(start)
    return { value: isThere ? entry.read(event) : undefined, rows: entry.rows }
  }

  windows(key: K, { from = 0, to = Infinity }: TimeRange, event: CurrentEvent | undefined): WindowValue<V>[] {
    const { sizeMs } = this.#grid
    const partition = partitionOf(this.entry(key, event))
    const found: WindowValue<V>[] = []
    const starts = new Set(partition.startsBetween(Math.max(0, from - sizeMs + 1), to))
    if (event !== undefined)
      for (const start of this.#writtenBy(event)) if (start < to && start + sizeMs > from) starts.add(start)
    for (const start of [...starts].sort((a, b) => a - b)) {
      if (!partition.isKept(start)) continue
      const value = this.#entry({ start, key }, event).read(event)
      if (value !== undefined) found.push({ start, end: start + sizeMs, value })
    }
    return found
  }

  committed(key: K, { from = 0, to = Infinity }: TimeRange): WindowValue<V>[] {
    const { sizeMs } = this.#grid
    const partition = partitionOf({ rows: this.locator.rowsOf({ start: 0, key }, undefined) })
    return partition.startsBetween(Math.max(0, from - sizeMs + 1), to, partition.time.committed).flatMap((start) => {
      const value = partition.committed(this.#keys.encode({ start, key }))
      return value === undefined ? [] : [{ start, end: start + sizeMs, value }]
    })
  }

  keyIn(row: Buffer): Buffer {
    return keyIn(row)
  }

  holding(windows: readonly WindowValue<V>[], time: number): WindowValue<V> | undefined {
    const newest = newestStart(this.#grid, time)
    return windows.find(({ start }) => start === newest)
  }

  read(row: Buffer, value: unknown): readonly (readonly [key: K, window: WindowValue<V>])[] {
    const { start, key } = this.#keys.decode(row)
    // The rows hold what this table has encoded.
    return [[key, { start, end: start + this.#grid.sizeMs, value: value as V }]]
  }

  decode(value: Buffer, { start }: { readonly start: number }, key: Buffer): V {
    return this.#values.decode(value, windowRow(start, key))
  }

  /** Windows that only the current event, or another one of its batch, has written: the partition does not list them yet. */
  #writtenBy(event: CurrentEvent): readonly number[] {
    return [...startsAt(this.#grid, event.timestamp), ...(this.#elsewhere.get(event.batchLeader) ?? [])]
  }

  #note(time: number, { batchLeader }: CurrentEvent): void {
    const starts = this.#elsewhere.get(batchLeader) ?? new Set()
    for (const start of startsAt(this.#grid, time)) starts.add(start)
    this.#elsewhere.set(batchLeader, starts)
  }

  #entry(key: WindowKey<K>, event: CurrentEvent | undefined): KeyEntry<V> {
    return event === undefined ? this.locator.outside(key) : this.locator.reading(key, event)
  }
}

/** The starts of the windows that hold a time, the oldest first. */
export function startsAt({ sizeMs, everyMs }: WindowGrid, time: number): readonly number[] {
  const newest = newestStart({ everyMs }, time)
  if (everyMs === sizeMs) return [newest]
  const starts: number[] = []
  for (let start = newest; start > time - sizeMs && start >= 0; start -= everyMs) starts.unshift(start)
  return starts
}

/** The start of the newest window that holds a time. */
export function newestStart({ everyMs }: Pick<WindowGrid, 'everyMs'>, time: number): number {
  return Math.floor(time / everyMs) * everyMs
}
