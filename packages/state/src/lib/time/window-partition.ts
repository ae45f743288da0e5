import type { Row, StorePartition } from '@millrace/core/driver'
import type { EventTime, OpenStateOptions } from '@millrace/worker'
import type { KeyEntry } from '../rows/key-entry.ts'
import { KeyedPartition } from '../rows/keyed-partition.ts'
import type { RowShape } from '../rows/row-shape.ts'
import { CloseProgress, PROGRESS_KEY } from './close-progress.ts'
import { CloseQueue } from './close-queue.ts'
import { NO_TIME } from './no-time.ts'
import { startOf, windowRow } from './window-keys.ts'
import type { WindowLayout } from './window-layout.ts'

/** The windows of a state, by the times of their rows. */
export interface WindowRules<V> {
  readonly keyCodec: string
  /** `onMoved` is called with rows by time that may be due already. */
  readonly layout: (store: StorePartition, onMoved: (row: Buffer) => void) => WindowLayout<V>
  readonly sizeMs: number
  /** How long after its end a window still takes events. */
  readonly graceMs: number
  /** How long after its end a window is kept; at least `graceMs`. */
  readonly retentionMs: number
  /** Whether an agent reads the closed windows. */
  readonly isClosing: boolean
}

/** The most expired rows that one commit deletes: several tasks may do so in one turn of the event loop, within 50 ms. */
const MOST_EXPIRED = 2000

const NOTHING_EXPIRED = { rows: 0, before: -Infinity }

/**
 * The rows of one windowed state in one task. The committed watermark decides which windows close and which rows are
 * deleted, because a crash may take the running watermark back.
 */
export class WindowPartition<V> extends KeyedPartition<V> {
  readonly time: EventTime
  readonly due: CloseQueue
  readonly #rules: WindowRules<V>
  readonly #layout: WindowLayout<V>
  readonly #progress: CloseProgress
  /** The time last given to `time.wakeAt`. */
  #alarm = Infinity
  #isProgressed = false
  /** The tombstones in the commit under way; after it, no window before `before` has rows. */
  #expired = NOTHING_EXPIRED
  /** The store holds the progress row, which does not count as a row of the state. */
  #hasProgress: boolean

  constructor(shape: RowShape<V>, context: OpenStateOptions, rules: WindowRules<V>) {
    super(shape, context)
    const { store, time = NO_TIME, note = '' } = context
    this.time = time
    this.#rules = rules
    const progress = store.get(PROGRESS_KEY)
    this.#hasProgress = progress !== undefined
    this.#layout = rules.layout(store, (row) => this.#moved(row))
    this.#progress = new CloseProgress(progress, note)
    this.due = new CloseQueue({
      rows: this.#layout,
      keyCodec: rules.keyCodec,
      closed: this.#progress.committed,
      stampOf: (start) => start + rules.sizeMs - 1,
      onProgress: () => void (this.#isProgressed = true),
    })
    this.#advance()
  }

  override get rows(): number {
    return super.rows - (this.#hasProgress ? 1 : 0)
  }

  get note(): string {
    return this.#progress.note(this.#isProgressed)
  }

  /** The starts in the rows that users read, whether or not readers still see all of their windows; `to` is excluded. */
  rowStarts(from: number, to: number): readonly number[] {
    return this.#layout.starts(from, to)
  }

  /** The starts of windows that have rows and that readers still see at a time, ascending; `to` is excluded. */
  startsBetween(from: number, to: number, at: number = this.time.watermark): readonly number[] {
    return this.#layout.starts(Math.max(from, this.#firstKept(at)), to)
  }

  /** Whether readers still see the rows of a window at a time. */
  isKept(start: number, at: number = this.time.watermark): boolean {
    return start >= this.#firstKept(at)
  }

  /** When a window with this start closes. */
  closeOf(start: number): number {
    return start + this.#rules.sizeMs + this.#rules.graceMs
  }

  /** Whether a window with this start is due, or has been: it is closed by the committed watermark. */
  hasClosed(start: number): boolean {
    return this.closeOf(start) <= this.time.committed
  }

  /** When the rows of a window with this start can be deleted. */
  #expiryOf(start: number): number {
    return start + this.#rules.sizeMs + this.#rules.retentionMs
  }

  /** All windows that start before it have closed for good. */
  get doneBefore(): number {
    return this.#rules.isClosing ? this.#progress.committed.to : this.#firstOpen(this.time.committed)
  }

  /** All windows that start before it have closed for good and are past their retention. */
  get expiredBefore(): number {
    return Math.min(this.doneBefore, this.#firstKept(this.time.committed))
  }

  /** The start of the first open window that has rows. */
  get oldestOpen(): number | undefined {
    return this.#layout.between(this.#firstOpen(this.time.watermark), Infinity)[0]
  }

  /** The number of open windows that have rows. */
  get open(): number {
    return this.#layout.between(this.#firstOpen(this.time.watermark), Infinity).length
  }

  override changed(entry: KeyEntry<V>, before: V | undefined): void {
    super.changed(entry, before)
    if (this.closed) return
    const start = this.#layout.changed(entry, before)
    if (start !== undefined) this.#wakeFor(start)
  }

  override takeRows(): readonly Row[] {
    const own = super.takeRows()
    const expired = this.#expire()
    // Before the rows to which they refer: at least once, a crash may leave only the first of these on the broker.
    const rows = [...this.#layout.takeRows(), ...own]
    const progress = this.#isProgressed ? [this.#progress.prepare(this.due.closed)] : []
    this.#isProgressed = false
    if (progress.length > 0) this.#addProgress()
    return expired.length + progress.length === 0 ? rows : [...rows, ...expired, ...progress]
  }

  override rowsStored(rows?: readonly Row[]): void {
    super.rowsStored(rows)
    this.#progress.stored()
    this.removed(this.#expired.rows - this.#layout.rowsStored())
    this.#layout.dropBefore(this.#expired.before)
    this.#expired = NOTHING_EXPIRED
    this.#advance()
  }

  override rowsReturned(): void {
    super.rowsReturned()
    this.#layout.rowsReturned()
    if (this.#progress.returned()) this.#isProgressed = true
    this.#expired = NOTHING_EXPIRED
  }

  protected override isOwn(key: Buffer): boolean {
    return !key.equals(PROGRESS_KEY) && this.#layout.isOwn(key)
  }

  /** `super.rows` counts the progress row, too. */
  #addProgress(): void {
    if (this.#hasProgress) return
    this.#hasProgress = true
    this.removed(-1)
  }

  #firstOpen(time: number): number {
    return Math.max(0, time - this.#rules.sizeMs - this.#rules.graceMs + 1)
  }

  #firstKept(time: number): number {
    return Math.max(0, time - this.#rules.sizeMs - this.#rules.retentionMs + 1)
  }

  /** Makes windows due by the last commit, and sets when to check again. */
  #advance(): void {
    if (this.#rules.isClosing) {
      const bound = this.#firstOpen(this.time.committed)
      const first = this.#layout.first
      // A row that is not stored yet would be missed.
      if (bound > 0)
        this.due.extend(first === undefined || first >= bound ? bound : Math.min(bound, this.#firstUnstored()))
    }
    const first = this.#layout.first
    const next = this.#rules.isClosing ? this.#layout.from(this.#firstOpen(this.time.committed)) : undefined
    const expiry = first === undefined ? Infinity : this.#expiryOf(first)
    // Expired rows that cannot be deleted yet wait for a later commit.
    const isHeld = expiry <= this.time.committed && (first ?? 0) >= this.#expiryBound()
    this.#alarm = Math.min(isHeld ? Infinity : expiry, next === undefined ? Infinity : this.closeOf(next))
    this.time.wakeAt(this.#alarm)
  }

  /** Called for the first row of a window: requests a commit when the window can close, or its rows can be deleted. */
  #wakeFor(start: number): void {
    const wanted = this.#rules.isClosing ? this.closeOf(start) : this.#expiryOf(start)
    if (wanted >= this.#alarm) return
    this.#alarm = wanted
    this.time.wakeAt(wanted)
  }

  /** Called when a row by time was added without an event. */
  #moved(row: Buffer): void {
    this.due.insert(row)
    this.#wakeFor(startOf(row))
  }

  #firstUnstored(): number {
    return this.#layout.firstUnstored(this.unstoredEntries())
  }

  /** All windows that start before this time are expired and closed, and the store has all their rows. */
  #expiryBound(): number {
    const first = this.#layout.first
    const over = this.#firstKept(this.time.committed)
    if (first === undefined || first >= over) return 0
    const closedTo = this.#rules.isClosing ? this.#progress.committed.to : Infinity
    return Math.min(over, closedTo, this.#firstUnstored())
  }

  #expire(): readonly Row[] {
    const to = this.#expiryBound()
    if ((this.#layout.first ?? Infinity) >= to) return []
    const found = this.store.range({ from: windowRow(0), to: windowRow(to), limit: MOST_EXPIRED })
    const last = found.at(-1)
    const before = found.length < MOST_EXPIRED || last === undefined ? to : startOf(last[0])
    const deleted = new Map<string, Buffer>()
    for (const [key] of found)
      for (const row of this.#layout.expiredWith(key, { before, isUnstored: (row) => this.isUnstored(row) }))
        deleted.set(row.toString('latin1'), row)
    this.#expired = { rows: deleted.size, before }
    return [...deleted.values()].map((key) => {
      if (this.#layout.isOwn(key)) this.forget(key)
      return { key, value: null }
    })
  }
}
