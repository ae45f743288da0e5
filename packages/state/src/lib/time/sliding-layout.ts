import type { StorePartition } from '@millrace/core/driver'
import type { KeyEntry } from '../rows/key-entry.ts'
import type { DueWindow } from './close-queue.ts'
import { LedLayout } from './led-layout.ts'
import {
  BUCKET_PREFIX,
  bucketMs,
  bucketOf,
  bucketRow,
  encodedBucket,
  keyOfBucket,
  type SlidingBucket,
  startOfBucket,
} from './sliding.ts'
import { StartIndex } from './start-index.ts'
import { keyIn, startOf, windowRow } from './window-keys.ts'
import type { Expired } from './window-layout.ts'

const AFTER_BUCKETS = Buffer.of((BUCKET_PREFIX[0] ?? 0) + 1)

/**
 * The windows of a key that start in the same stretch of time are one row, because an event changes many of them at once. Each
 * window has a row by time at its start, written when the window is made.
 */
export class SlidingLayout<V> extends LedLayout<SlidingBucket<V>> {
  readonly #differenceMs: number
  readonly #buckets: StartIndex

  constructor(store: Pick<StorePartition, 'get' | 'range'>, differenceMs: number) {
    super(store)
    this.#differenceMs = differenceMs
    this.#buckets = new StartIndex(store, AFTER_BUCKETS, BUCKET_PREFIX)
  }

  /** Of buckets. */
  starts(from: number, to: number): readonly number[] {
    return this.#buckets.between(from, to)
  }

  dropBefore(time: number): void {
    this.#buckets.dropBefore(time - bucketMs(this.#differenceMs) + 1)
  }

  changed({ key: row, value = [] }: KeyEntry<SlidingBucket<V>>, before: SlidingBucket<V> = []): number | undefined {
    const known = new Set(before.map(({ start }) => start))
    const made = value.filter(({ start }) => !known.has(start))
    if (made.length > 0) this.#buckets.add(startOfBucket(row))
    for (const { start } of made) this.add(windowRow(start, keyOfBucket(row)))
    return made[0]?.start
  }

  firstUnstored(entries: Iterable<KeyEntry<SlidingBucket<V>>>): number {
    let first = Infinity
    for (const entry of entries) {
      const stored = new Map(this.#stored(entry.key).map(({ start, writes }) => [start, writes]))
      for (const { start, writes } of [...(entry.value ?? []), ...(entry.peek(entry.holder) ?? [])])
        if (stored.get(start) !== writes) first = Math.min(first, start)
    }
    return first
  }

  dueBy(row: Buffer): DueWindow | undefined {
    const start = startOf(row)
    const found = this.#stored(this.#ownOf(row)).find((window) => window.start === start)
    return found === undefined ? undefined : { start, end: start + this.#differenceMs, value: found.value }
  }

  expiredWith(row: Buffer, { before, isUnstored }: Expired): readonly Buffer[] {
    const own = this.#ownOf(row)
    // The row by time must stay as long as the row may change.
    if (isUnstored(own)) return []
    const last = this.#stored(own).at(-1)
    return last === undefined || last.start >= before ? [row] : [row, own]
  }

  /** The row with the window of a row by time. */
  #ownOf(row: Buffer): Buffer {
    return bucketRow(bucketOf(startOf(row), this.#differenceMs), keyIn(row))
  }

  #stored(row: Buffer): SlidingBucket<Buffer> {
    const bytes = this.store.get(row)
    return bytes === undefined ? [] : encodedBucket(bytes, row)
  }
}
