import {
  codecRows,
  isSessionRow,
  type KeyEntry,
  type RowShape,
  type Session,
  SessionKeys,
  SessionLayout,
  sessionRow,
  sessionRows,
  type Sessions,
  type TaskLocator,
  type WindowPartition,
} from '@millrace/state'
import type { CurrentEvent } from '@millrace/worker'
import type { TimeRange } from './key-windows.ts'
import type { SessionGap, Window, WindowValue } from './window-options.ts'
import {
  type ChangeIn,
  type FoundValue,
  partitionOf,
  windowLocator,
  type WindowRows,
  type WindowRowsOptions,
  type Written,
} from './window-rows.ts'

/** The most closed sessions that are kept of one key, because all sessions of a key are in one row. */
const MOST_CLOSED = 100

/** Session windows: a row for each key, with its sessions. */
export class SessionWindows<K, V> implements WindowRows<K, V> {
  readonly locator: TaskLocator<K, Sessions<V>>
  readonly #values: RowShape<V>
  readonly #keys: SessionKeys<K>
  readonly #gap: SessionGap<V>

  constructor(gap: SessionGap<V>, options: WindowRowsOptions<K, V>) {
    const { keys, table, windows } = options
    this.#keys = new SessionKeys(keys)
    this.#gap = gap
    this.#values = codecRows<K, V>(this.#keys, table)
    const graceMs = gap.gapMs + windows.graceMs
    // A session closes like a window of one millisecond at its last event, but not before the gap has passed.
    this.locator = windowLocator(
      options,
      { keys: this.#keys, rows: sessionRows(this.#values) },
      {
        sizeMs: 1,
        graceMs,
        retentionMs: Math.max(graceMs, windows.retentionMs),
        layout: (store, onMoved) => new SessionLayout<V>(store, onMoved),
      },
    )
  }

  timeOf({ end }: Window): number {
    return end
  }

  entry(key: K, event: CurrentEvent | undefined): KeyEntry<Sessions<V>> {
    return event === undefined ? this.locator.outside(key) : this.locator.reading(key, event)
  }

  write(key: K, time: number, event: CurrentEvent, change: ChangeIn<V>): Written {
    let entry = this.locator.writing(key, event)
    const partition = partitionOf(entry)
    partition.time.writtenBy(event)
    const reached = partition.time.at(event)
    const before = entry.view(event) ?? []
    const joined = before.filter((session) => this.#reaches(session, time) && partition.closeOf(session.end) > reached)
    const start = Math.min(time, joined[0]?.start ?? time)
    const end = Math.max(time, joined.at(-1)?.end ?? time)
    const lateByMs = reached - partition.closeOf(end)
    if (lateByMs >= 0) return { windows: 0, missed: { start, end, lateByMs } }
    const { merge } = this.#gap
    const values = joined.map(({ value }) => value)
    // `merge` is given two values and nothing else: it may take any number.
    const merged = values.length === 0 ? undefined : values.reduce((earlier, later) => merge(earlier, later))
    const value = change(merged, { start, end }, entry)
    // `change` may have read so many rows that the entry was evicted from the cache.
    if (entry.evicted) entry = this.locator.writing(key, event)
    const others = withoutOld(before, partition).filter((session) => !joined.includes(session))
    const after = [...others, { start, end, value }].sort((a, b) => a.start - b.start)
    this.locator.write(entry, event, entry.rows.guard(after))
    return { windows: 1, missed: undefined }
  }

  at(key: K, time: number, event: CurrentEvent | undefined): FoundValue<V> {
    const entry = this.entry(key, event)
    return { value: this.holding(this.#kept(entry, event), time)?.value, rows: entry.rows }
  }

  windows(key: K, { from = 0, to = Infinity }: TimeRange, event: CurrentEvent | undefined): WindowValue<V>[] {
    return this.#kept(this.entry(key, event), event).filter(({ start, end }) => start < to && end >= from)
  }

  committed(key: K, { from = 0, to = Infinity }: TimeRange): WindowValue<V>[] {
    const partition = partitionOf({ rows: this.locator.rowsOf(key, undefined) })
    const { committed: at } = partition.time
    const sessions = partition.committed(this.#keys.encode(key)) ?? []
    return sessions.filter(({ start, end }) => partition.isKept(end, at) && start < to && end >= from)
  }

  keyIn(row: Buffer): Buffer | undefined {
    return isSessionRow(row) ? row.subarray(1) : undefined
  }

  /** The session that an event of this time would be in. */
  holding(windows: readonly WindowValue<V>[], time: number): WindowValue<V> | undefined {
    return windows.findLast((session) => this.#reaches(session, time))
  }

  read(row: Buffer, value: unknown): readonly (readonly [key: K, window: WindowValue<V>])[] {
    const key = this.#keys.decode(row)
    // The rows hold what this table has encoded.
    return (value as Sessions<V>).map((session) => [key, session] as const)
  }

  decode(value: Buffer, _window: unknown, key: Buffer): V {
    return this.#values.decode(value, sessionRow(key))
  }

  #kept(entry: KeyEntry<Sessions<V>>, event: CurrentEvent | undefined): WindowValue<V>[] {
    const partition = partitionOf(entry)
    return (entry.read(event) ?? []).filter(({ end }) => partition.isKept(end))
  }

  /** Whether an event of this time is within the gap of the session. */
  #reaches({ start, end }: Omit<Session<unknown>, 'value'>, time: number): boolean {
    return end >= time - this.#gap.gapMs && start <= time + this.#gap.gapMs
  }
}

/** Drops the sessions that are past their retention, and keeps only the newest of the closed ones. */
function withoutOld<V>(sessions: Sessions<V>, partition: WindowPartition<Sessions<V>>): Sessions<V> {
  const { doneBefore, expiredBefore } = partition
  const done = sessions.findIndex(({ end }) => end >= doneBefore)
  const closed = done < 0 ? sessions.length : done
  return sessions.filter(({ end }, n) => end >= expiredBefore && n >= closed - MOST_CLOSED)
}
