import {
  bucketMs,
  bucketOf,
  bucketRow,
  type KeyEntry,
  keyOfBucket,
  type RowShape,
  SessionKeys,
  slide,
  type SlidingBucket,
  SlidingLayout,
  slidingRows,
  type SlidingWindow,
  startsAround,
  type TaskLocator,
  type WindowKey,
  WindowKeys,
  type WindowPartition,
} from '@millrace/state'
import type { CurrentEvent } from '@millrace/worker'
import type { TimeRange } from './key-windows.ts'
import type { Window, WindowDifference, WindowValue } from './window-options.ts'
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

/** Sliding windows: a row for each key and stretch of time, with the windows that start in it. */
export class SlidingWindows<K, V> implements WindowRows<K, V> {
  readonly locator: TaskLocator<WindowKey<K>, SlidingBucket<V>>
  readonly #values: RowShape<V>
  readonly #keys: SessionKeys<WindowKey<K>>
  readonly #differenceMs: number
  /** Times other than their own that events have written. */
  readonly #elsewhere = new WeakMap<CurrentEvent, Set<number>>()

  constructor({ differenceMs }: WindowDifference, options: WindowRowsOptions<K, V>) {
    const { keys, table, windows } = options
    this.#keys = new SessionKeys(new WindowKeys(keys))
    this.#differenceMs = differenceMs
    this.#values = valuesByStart(this.#keys, table)
    const { graceMs, retentionMs } = windows
    // Both ends belong to a window: it is a millisecond longer than the difference.
    const sizeMs = differenceMs + 1
    this.locator = windowLocator(
      options,
      { keys: this.#keys, rows: slidingRows(this.#values) },
      {
        sizeMs,
        graceMs,
        // New windows are made from windows as far back as that.
        retentionMs: Math.max(graceMs + sizeMs, retentionMs),
        layout: (store) => new SlidingLayout<V>(store, differenceMs),
      },
    )
  }

  timeOf({ start }: Window): number {
    return start
  }

  entry(key: K, event: CurrentEvent | undefined): KeyEntry<SlidingBucket<V>> {
    return this.#entry({ start: 0, key }, event)
  }

  write(
    key: K,
    time: number,
    event: CurrentEvent,
    change: ChangeIn<V>,
    copied?: (window: WindowValue<V>) => void,
  ): Written {
    const differenceMs = this.#differenceMs
    const first = Math.max(0, time - differenceMs)
    const { rows } = this.locator.writing({ start: bucketOf(first, differenceMs), key }, event)
    const partition = partitionOf<SlidingBucket<V>>({ rows })
    partition.time.writtenBy(event)
    // If the first window of an event is open, all of them are: none misses an event that another one has.
    const lateByMs = partition.time.at(event) - partition.closeOf(first)
    if (lateByMs >= 0) return { windows: 0, missed: { start: first, end: first + differenceMs, lateByMs } }
    if (time !== event.timestamp) this.#note(time, event)
    const changed = new Map<number, SlidingWindow<V>[]>()
    let windows = 0
    for (const { start, from, isHolding } of slide(this.#around(key, time, event), time, differenceMs)) {
      const window = { start, end: start + differenceMs }
      const bucket = bucketOf(start, differenceMs)
      const entry = this.locator.writing({ start: bucket, key }, event)
      const value = isHolding ? entry.rows.guard(change(from?.value, window, entry)) : from?.value
      if (value === undefined) continue
      const isChanged = from?.start === start
      const last = isHolding ? Math.max(time, from?.last ?? time) : (from?.last ?? time)
      const writes = isChanged ? from.writes + 1 : 1
      changed.set(bucket, [...(changed.get(bucket) ?? []), { start, last, writes, value }])
      if (isHolding) windows++
      else copied?.({ ...window, value })
    }
    for (const [start, made] of changed) {
      const entry = this.locator.writing({ start, key }, event)
      this.locator.write(entry, event, entry.rows.guard(merged(entry.view(event) ?? [], made)))
    }
    return { windows, missed: undefined }
  }

  /** Of the window that ends at this time: the last one that ends until then has the same events. */
  at(key: K, time: number, event: CurrentEvent | undefined): FoundValue<V> {
    const whole = Math.max(0, Math.floor(time))
    const partition = partitionOf(this.entry(key, event))
    const windows = this.#around(key, whole, event).filter(({ start }) => partition.isKept(start))
    return { value: this.#endingAt(windows, whole)?.value, rows: partition }
  }

  windows(key: K, { from = 0, to = Infinity }: TimeRange, event: CurrentEvent | undefined): WindowValue<V>[] {
    const partition = partitionOf(this.entry(key, event))
    const buckets = new Set(partition.rowStarts(this.#firstBucket(from), to))
    if (event !== undefined)
      for (const time of [event.timestamp, ...(this.#elsewhere.get(event.batchLeader) ?? [])])
        for (const bucket of this.#bucketsAround(Math.max(0, Math.floor(time)))) buckets.add(bucket)
    return [...buckets]
      .sort((a, b) => a - b)
      .flatMap((start) => this.#entry({ start, key }, event).read(event) ?? [])
      .filter((window) => partition.isKept(window.start) && this.#isIn(window, from, to))
      .map((window) => this.#shown(window))
  }

  committed(key: K, { from = 0, to = Infinity }: TimeRange): WindowValue<V>[] {
    const partition: WindowPartition<SlidingBucket<V>> = partitionOf({
      rows: this.locator.rowsOf({ start: 0, key }, undefined),
    })
    const { committed: at } = partition.time
    return partition
      .rowStarts(this.#firstBucket(from), to)
      .flatMap((start) => partition.committed(this.#keys.encode({ start, key })) ?? [])
      .filter((window) => partition.isKept(window.start, at) && this.#isIn(window, from, to))
      .map((window) => this.#shown(window))
  }

  keyIn(row: Buffer): Buffer | undefined {
    return keyOfBucket(row)
  }

  /** The first one that ends at this time or later. */
  holding(windows: readonly WindowValue<V>[], time: number): WindowValue<V> | undefined {
    return windows.find(({ start, end }) => start <= time && end >= time)
  }

  read(row: Buffer, value: unknown): readonly (readonly [key: K, window: WindowValue<V>])[] {
    const { key } = this.#keys.decode(row)
    // The rows hold what this table has encoded.
    return (value as SlidingBucket<V>).map((window) => [key, this.#shown(window)] as const)
  }

  decode(value: Buffer, { start }: { readonly start: number }, key: Buffer): V {
    return this.#values.decode(value, bucketRow(bucketOf(start, this.#differenceMs), key))
  }

  /** The windows that an event of this time looks at. */
  #around(key: K, time: number, event: CurrentEvent | undefined): readonly SlidingWindow<V>[] {
    const { from, to } = startsAround(time, this.#differenceMs)
    return this.#bucketsAround(time)
      .flatMap((start) => this.#entry({ start, key }, event).read(event) ?? [])
      .filter(({ start }) => start >= from && start <= to)
  }

  #bucketsAround(time: number): readonly number[] {
    const { from, to } = startsAround(time, this.#differenceMs)
    const step = bucketMs(this.#differenceMs)
    const first = bucketOf(from, this.#differenceMs)
    return Array.from({ length: Math.floor((to - first) / step) + 1 }, (_, nth) => first + nth * step)
  }

  #endingAt(windows: readonly SlidingWindow<V>[], time: number): SlidingWindow<V> | undefined {
    const first = Math.max(0, time - this.#differenceMs)
    // Before a whole window fits behind the epoch, the first one holds all events.
    const found = windows.findLast(({ start }) => start <= first)
    return found === undefined || found.last < first ? undefined : found
  }

  #firstBucket(from: number): number {
    return bucketOf(Math.max(0, Math.floor(from) - this.#differenceMs), this.#differenceMs)
  }

  #isIn({ start }: SlidingWindow<V>, from: number, to: number): boolean {
    return start < to && start + this.#differenceMs >= from
  }

  #shown({ start, value }: SlidingWindow<V>): WindowValue<V> {
    return { start, end: start + this.#differenceMs, value }
  }

  #note(time: number, { batchLeader }: CurrentEvent): void {
    const times = this.#elsewhere.get(batchLeader) ?? new Set()
    this.#elsewhere.set(batchLeader, times.add(time))
  }

  #entry(key: WindowKey<K>, event: CurrentEvent | undefined): KeyEntry<SlidingBucket<V>> {
    return event === undefined ? this.locator.outside(key) : this.locator.reading(key, event)
  }
}

/** The windows of a row, those that an event has made or changed in their places. */
function merged<V>(before: SlidingBucket<V>, made: readonly SlidingWindow<V>[]): SlidingBucket<V> {
  const starts = new Set(made.map(({ start }) => start))
  return [...before.filter(({ start }) => !starts.has(start)), ...made].sort((a, b) => a.start - b.start)
}
