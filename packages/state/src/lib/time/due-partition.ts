import { MillraceError } from '@millrace/core'
import type { Row } from '@millrace/core/driver'
import type { CurrentEvent, EventTime, OpenState, OpenStateOptions } from '@millrace/worker'
import type { KeyEntry } from '../rows/key-entry.ts'
import { KeyedPartition } from '../rows/keyed-partition.ts'
import type { RowShape } from '../rows/row-shape.ts'
import { CommitNumbers } from './commit-numbers.ts'
import { type DueAlarm, EventAlarm, WallAlarm } from './due-alarm.ts'
import { DueIndex } from './due-index.ts'
import { isInternal, undoKey } from './due-keys.ts'
import { DueRowQueue, type DueRows } from './due-queue.ts'
import type { DueRules } from './due-rules.ts'
import { NO_TIME } from './no-time.ts'
import { RangeExpiry } from './range-expiry.ts'
import { RowCounts } from './row-counts.ts'
import { storedUndoRows, UNDO_OVERHEAD, undoRows } from './undo-rows.ts'

const NOTHING_DELETED = { deleted: 0, hasMore: false }

/**
 * The rows of one state in one task that become due at some time: timers, sessions, rows that expire. `DueRules` says when a
 * row is due and how it changes then; the rest follows from the writes of events.
 *
 * A fired row must not be persisted without the sends of its event: at least once, a crash could leave the changed row on the
 * broker and lose the sends. Each commit therefore first writes the earlier values of the fired rows (`undoRows`), with a number
 * that is committed with the offsets. The next owner restores these values if the number was not committed.
 */
export class DuePartition<V> extends KeyedPartition<V> implements OpenState, DueRows<V> {
  readonly due: DueRowQueue<V>
  /** Event time; present for a state with `eventTime`. */
  readonly time: EventTime | undefined
  readonly #rules: DueRules<V>
  readonly #index: DueIndex
  readonly #numbers: CommitNumbers
  readonly #counts: RowCounts
  readonly #expiry: RangeExpiry | undefined
  readonly #touch: () => void
  readonly #commitSoon: () => void
  /** Rows that have fired since the last commit, by the latin1 text of their keys. */
  #fired = new Map<string, Buffer>()
  #takenFired: ReadonlyMap<string, Buffer> = this.#fired
  /** Rows that were restored when the state was opened, with their values, until a commit has written them. */
  readonly #restored = new Map<string, Row>()
  /** Undo rows that the store or the changelog may have. */
  #undoRows: number
  #takenUndoRows: number

  constructor(shape: RowShape<V>, context: OpenStateOptions, rules: DueRules<V>) {
    super(shape, { ...context, maxRowBytes: context.maxRowBytes - UNDO_OVERHEAD })
    const { store, clock, touch, commitSoon, countChanged, time, note } = context
    this.time = time
    this.#rules = rules
    this.#touch = touch
    this.#commitSoon = commitSoon
    this.#expiry = rules.lastsMs === undefined ? undefined : new RangeExpiry(store, rules.lastsMs)
    this.#numbers = new CommitNumbers(note ?? '')
    const undone = storedUndoRows(store)
    this.#undoRows = this.#takenUndoRows = undone.length
    this.#counts = new RowCounts(store)
    this.removed(this.#counts.internal)
    this.#index = new DueIndex({
      store,
      countChanged,
      stored: this.#counts.internal - undone.length - this.#counts.own,
    })
    const alarm = (onWake: () => void): DueAlarm => {
      if (rules.clock === 'wall') return new WallAlarm(clock, onWake)
      return new EventAlarm(time ?? NO_TIME, clock, onWake)
    }
    this.due = new DueRowQueue({ rows: this, index: this.#index, rules, touch, commitSoon, alarm })
    // A state without event time sends nothing, and a reader without a worker takes the rows as they are.
    if (note !== undefined) this.#undo(undone, touch)
    this.due.advance()
    this.#expectExpiry(false)
  }

  /** Called when an event writes the state: the partitions of its subscription then hold back the state's watermark. */
  writtenBy(event: CurrentEvent): void {
    // Due events of this state follow the watermark, and must not hold it back.
    if (!this.due.isGiven(event.record)) this.time?.writtenBy(event)
  }

  get note(): string {
    return this.#numbers.note(this.#fired.size + this.#restored.size > 0)
  }

  override get dirtyBytes(): number {
    return super.dirtyBytes + this.#index.dirtyBytes
  }

  finishedValue(row: Buffer): V | undefined {
    return this.peek(row, undefined, undefined)
  }

  firedNow(row: Buffer): void {
    this.#fired.set(row.toString('latin1'), row)
  }

  override changed(entry: KeyEntry<V>, before: V | undefined): void {
    super.changed(entry, before)
    if (this.closed) return
    if (before === undefined && entry.value !== undefined) this.#expiry?.added(entry.key)
    this.due.changed(entry.key, before, entry.value)
  }

  protected override isOwn(key: Buffer): boolean {
    return !isInternal(key)
  }

  /** Throws `KEY_INVALID` for a key with the bytes of an internal row, which no text has. */
  override load(identity: string, key: Buffer): KeyEntry<V> {
    if (isInternal(key))
      throw new MillraceError(
        'KEY_INVALID',
        `Key ${this.showKey(key)} of ${this.where} begins with the bytes ff fe, which are reserved for internal rows.`,
      )
    return super.load(identity, key)
  }

  /** Ordered so that each row has an entry in the index, even if a crash leaves only a part of it on the broker. */
  override takeRows(): readonly Row[] {
    this.#forgetOver()
    const rows = super.takeRows()
    const undo = this.#takeUndoRows()
    const expired = this.#takeExpired(rows.length > 0)
    const { added, deleted } = this.#index.takeRows()
    const changed = [...undo, ...added, ...rows, ...expired, ...deleted]
    if (changed.length === 0) return changed
    const internal = this.#index.storedEntries + this.#takenUndoRows
    return this.#counts.around(changed, { state: this.rows - expired.length, internal })
  }

  override rowsStored(rows?: readonly Row[]): void {
    super.rowsStored(rows)
    this.#index.rowsStored()
    this.#numbers.stored()
    this.#undoRows = this.#takenUndoRows
    this.#takenFired = new Map()
    this.#restored.clear()
    const { deleted, hasMore } = this.#expiry?.rowsStored() ?? NOTHING_DELETED
    this.removed(deleted)
    if (this.closed) return
    this.due.advance()
    this.#expectExpiry(hasMore)
  }

  override rowsReturned(): void {
    super.rowsReturned()
    this.#index.rowsReturned()
    this.#numbers.returned()
    this.#expiry?.rowsReturned()
    // The commit that failed may have left all of them in the changelog.
    this.#undoRows = this.#takenUndoRows = Math.max(this.#undoRows, this.#takenUndoRows)
    for (const [name, row] of this.#takenFired) this.#fired.set(name, row)
    this.#takenFired = new Map()
  }

  override close(): void {
    super.close()
    this.#index.close()
    this.due.close()
  }

  /**
   * Rows that no event can read any more, by the watermark of this commit, are not written. Only their own events have
   * written them since the last commit, and if this one fails, these come again.
   */
  #forgetOver(): void {
    const expiry = this.#expiry
    if (expiry === undefined || this.time === undefined) return
    const { watermark } = this.time
    if (watermark >= expiry.next)
      this.forgetUnwritten(({ key, value }) => expiry.isOver(key, watermark) && !this.#isDue(value))
  }

  /** Deletes rows by the committed watermark, because a crash may take the running one back. */
  #takeExpired(hasChanges: boolean): readonly Row[] {
    if (this.#expiry === undefined || this.time === undefined) return []
    const mustStay = (key: Buffer, value: Buffer): boolean =>
      this.isUnstored(key) || this.#isDue(this.decode(value, key))
    const { expired, held } = this.#expiry.take(this.time.committed, mustStay, hasChanges)
    // Rows that were written under other rules may have no entry in the index.
    for (const key of held) this.due.changed(key, undefined, this.finishedValue(key))
    for (const key of expired) this.forget(key)
    return expired.map((key) => ({ key, value: null }))
  }

  #isDue(value: V | undefined): boolean {
    return value !== undefined && this.#rules.dueOf(value) !== undefined
  }

  /** Has expired rows deleted by a commit that need not come early, unless a whole commit's worth of them was not all. */
  #expectExpiry(hasMore: boolean): void {
    if (this.#expiry === undefined || this.time === undefined) return
    const { next } = this.#expiry
    const isDue = next <= this.time.committed
    this.time.touchAt(isDue ? Infinity : next)
    if (isDue) this.#touch()
    if (hasMore) this.#commitSoon()
  }

  /** The stored values of the rows that have fired. Those that the last commit wrote are no longer needed. */
  #takeUndoRows(): readonly Row[] {
    const fired = this.#fired
    this.#takenFired = fired
    this.#fired = new Map()
    const rows: Row[] = []
    if (fired.size + this.#restored.size > 0) {
      const commit = this.#numbers.prepare()
      const before = new Map(this.#restored)
      for (const [name, key] of fired)
        if (!before.has(name)) before.set(name, { key, value: this.store.get(key) ?? null })
      rows.push(...undoRows({ commit, rows: [...before.values()] }))
    }
    this.#takenUndoRows = rows.length
    // From the last one down, so that a crash in between leaves no gap.
    for (let nth = this.#undoRows - 1; nth >= rows.length; nth--) rows.push({ key: undoKey(nth), value: null })
    return rows
  }

  /** Restores the rows that fired in a commit that was never made. */
  #undo(undone: ReturnType<typeof storedUndoRows>, touch: () => void): void {
    for (const { commit, rows } of undone) {
      if (commit <= this.#numbers.committed) continue
      this.#numbers.found(commit)
      for (const row of rows) {
        const { key, value } = row
        this.#restored.set(key.toString('latin1'), row)
        this.entryOf(key).replace(value === null ? undefined : this.decode(value, key), value ?? undefined)
      }
      touch()
    }
  }
}
