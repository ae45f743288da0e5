import type { RowShape } from '../rows/row-shape.ts'
import { type PackedFormat, packedRows, unpacked } from './packed-rows.ts'
import { isSessionRow } from './sessions.ts'
import { keyIn, startOf, windowRow } from './window-keys.ts'

/** A window from `start` to `start` plus the time difference, both included. */
export interface SlidingWindow<V> {
  readonly start: number
  /** The time of the last event in it. */
  readonly last: number
  /** How often events have changed it: tells its states apart. */
  readonly writes: number
  readonly value: V
}

/** The windows of one key that start in a stretch of time, the oldest first: they are one row. */
export type SlidingBucket<V> = readonly SlidingWindow<V>[]

/** What an event makes of a window. */
export interface SlidingStep<V> {
  readonly start: number
  /** The window as it was, or the one whose events are those of the new window. `undefined`: no events. */
  readonly from: SlidingWindow<V> | undefined
  /** The event is in it. A window behind the event is made without it. */
  readonly isHolding: boolean
}

/**
 * What an event makes of the windows of its key, the oldest first. Each event has the window that ends with it and, once that has
 * events, the one that begins right after it (KIP-450). So the events of a new window are those of a window that there is:
 * the last one that ends before the event, or the last one that begins before it and ends behind it.
 *
 * `windows`: those that start from two differences before `time` to right after it, ascending.
 */
export function slide<V>(
  windows: readonly SlidingWindow<V>[],
  time: number,
  differenceMs: number,
): readonly SlidingStep<V>[] {
  const own = Math.max(0, time - differenceMs)
  const steps = new Map<number, SlidingStep<V>>()
  let ended: SlidingWindow<V> | undefined
  let holding: SlidingWindow<V> | undefined
  let previous = -Infinity
  let isFollowed = false
  for (const window of windows) {
    const { start, last } = window
    if (start > time) isFollowed ||= start === time + 1
    else if (start + differenceMs < time) ended = window
    else {
      holding = window
      steps.set(start, { start, from: window, isHolding: true })
    }
    if (last < time) previous = Math.max(previous, last)
  }
  // The window right after the event before, which was empty until now.
  const after = previous + 1
  if (after + differenceMs >= time && !steps.has(after))
    steps.set(after, { start: after, from: undefined, isHolding: true })
  const inOwn = ended !== undefined && ended.last >= own ? ended : undefined
  if (steps.get(own)?.from === undefined) steps.set(own, { start: own, from: inOwn, isHolding: true })
  if (!isFollowed && holding !== undefined && holding.last > time)
    steps.set(time + 1, { start: time + 1, from: holding, isHolding: false })
  return [...steps.values()].sort((a, b) => a.start - b.start)
}

/** Where the windows are that an event of this time looks at: starts from `from` to `to`, both included. */
export function startsAround(time: number, differenceMs: number): { readonly from: number; readonly to: number } {
  return { from: Math.max(0, time - 2 * differenceMs), to: time + 1 }
}

/** How long a stretch of starts is whose windows share a row: as long as a window. */
export function bucketMs(differenceMs: number): number {
  return differenceMs + 1
}

/** The start of the bucket of a window. */
export function bucketOf(start: number, differenceMs: number): number {
  return start - (start % bucketMs(differenceMs))
}

/** The key of a row of windows, encoded; `undefined` for other rows. */
export function keyOfBucket(row: Buffer): Buffer | undefined {
  return isSessionRow(row) ? keyIn(row.subarray(1)) : undefined
}

/** The start of the bucket of a row of windows. */
export function startOfBucket(row: Buffer): number {
  return startOf(row.subarray(1))
}

/** The row of a bucket; without a key, where the rows of the bucket begin. */
export function bucketRow(start: number, key?: Buffer): Buffer {
  return Buffer.concat([BUCKET_PREFIX, windowRow(start, key)])
}

/** The first byte of rows with windows, as of rows with sessions. */
export const BUCKET_PREFIX: Buffer = Buffer.of(1)

const FORMAT: PackedFormat<Omit<SlidingWindow<never>, 'value'>> = {
  what: 'sliding windows',
  bytes: 20,
  write({ start, last, writes }, into) {
    into.writeDoubleBE(start, 0)
    into.writeDoubleBE(last, 8)
    into.writeUInt32BE(writes, 16)
  },
  read: (from, at) => ({
    start: from.readDoubleBE(at),
    last: from.readDoubleBE(at + 8),
    writes: from.readUInt32BE(at + 16),
  }),
}

/** Rows of windows, with values as `values` encodes them. */
export function slidingRows<V>(values: RowShape<V>): RowShape<SlidingBucket<V>> {
  return packedRows(values, FORMAT)
}

/** The windows of a row, with their values as they are encoded. Throws `ROW_UNDECODABLE`. */
export function encodedBucket(bytes: Buffer, row: Buffer): SlidingBucket<Buffer> {
  return unpacked(bytes, row, FORMAT)
}
