import { createHash } from 'node:crypto'
import type { RawRecord } from '@millrace/core'
import type { CurrentEvent, DueQueue, Effect } from '@millrace/worker'
import type { KeyEntry } from '../rows/key-entry.ts'
import type { DueAlarm } from './due-alarm.ts'
import type { DueIndex } from './due-index.ts'
import { type DueEntry, dueEntry, rowOf, timeOf } from './due-keys.ts'
import type { DueRules } from './due-rules.ts'

/** The most entries checked in one turn of the event loop if none can be given out. */
const STEPS_PER_TURN = 500
/** While more bytes of changed rows than this wait for a commit, expired rows are not deleted. */
const MOST_CHANGED_BYTES = 8 * 1024 * 1024

const NO_ROWS: readonly Buffer[] = Object.freeze([])

/** The rows of the state. */
export interface DueRows<V> {
  readonly dirtyBytes: number
  /** The value of a row as of the last finished event, without bringing it into the cache. */
  finishedValue(row: Buffer): V | undefined
  entryOf(row: Buffer): KeyEntry<V>
  /** The next commit must keep the row's earlier value, because its event may be lost. */
  firedNow(row: Buffer): void
}

export interface DueRowQueueOptions<V> {
  readonly rows: DueRows<V>
  readonly index: DueIndex
  readonly rules: DueRules<V>
  readonly touch: () => void
  readonly commitSoon: () => void
  /** Wakes the queue. */
  readonly alarm: (onWake: () => void) => DueAlarm
}

/** A row that was handed out. It is also an effect of its event. */
class GivenRow implements Effect {
  readonly entry: DueEntry
  readonly row: Buffer
  readonly time: number
  /** Other rows that its event deletes. */
  consumed: readonly Buffer[] = NO_ROWS
  /** Its event has made it what rows become that were due. */
  isFired = false
  /** It has changed since it was given out, so it is not due any more at that time. */
  isPassedOver = false

  constructor(entry: DueEntry) {
    this.entry = entry
    this.row = rowOf(entry)
    this.time = timeOf(entry)
  }

  apply(): void {
    this.isFired = true
  }

  drop(): void {}
}

/** Gives out the rows of one state in one task that are due, the earliest first, and deletes those that have expired. */
export class DueRowQueue<V> implements DueQueue {
  readonly keyCodec: string | undefined
  readonly time?: () => number
  onDue: () => void = () => {}
  /** Rows that have fired in this worker. */
  fired = 0
  /** Rows that have expired in this worker. */
  expired = 0
  readonly #rows: DueRows<V>
  readonly #index: DueIndex
  readonly #rules: DueRules<V>
  readonly #alarm: DueAlarm
  readonly #touch: () => void
  readonly #commitSoon: () => void
  readonly #given = new Map<RawRecord, GivenRow>()
  /** Expired entries whose rows were held by an event. */
  #held: DueEntry[] = []
  /** The earliest time of the rows given out; `undefined` if unknown. */
  #earliest: number | undefined = Infinity

  constructor({ rows, index, rules, touch, commitSoon, alarm }: DueRowQueueOptions<V>) {
    this.keyCodec = rules.keyCodec
    this.#rows = rows
    this.#index = index
    this.#rules = rules
    this.#touch = touch
    this.#commitSoon = commitSoon
    this.#alarm = alarm(() => this.advance())
    if (rules.clock === 'event') this.time = () => this.#finishedTime()
  }

  /** Called when finished events have changed a row: its values before and now. */
  changed(row: Buffer, before: V | undefined, value: V | undefined): void {
    const from = this.#timeOf(before)
    const to = this.#timeOf(value)
    if (to !== undefined && (from === undefined || to < from)) {
      this.#index.put(dueEntry(to, row))
      this.#alarm.lower(to)
    }
    if (from !== undefined && (to === undefined || to < from)) this.#index.delete(dueEntry(from, row))
  }

  /** Checks what is due: at the start, when the alarm wakes, and after each commit. */
  advance(): void {
    for (const entry of this.#held.splice(0)) this.#index.near.giveBack(entry, !this.#index.isDeleted(entry))
    if (this.#front() !== undefined) this.onDue()
  }

  next(): RawRecord | undefined {
    const entry = this.#front()
    if (entry === undefined) return undefined
    const given = new GivenRow(entry)
    const value = this.#rows.finishedValue(given.row)
    if (value === undefined) return undefined
    this.#index.near.take(entry)
    const record = this.#recordOf(given, value)
    this.#given.set(record, given)
    if (this.#earliest !== undefined) this.#earliest = Math.min(this.#earliest, given.time)
    return record
  }

  claim(event: CurrentEvent): boolean {
    const { record } = event
    const given = this.#given.get(record)
    if (given === undefined) return true
    given.isFired = given.isPassedOver = false
    const entry = this.#rows.entryOf(given.row)
    const value = entry.view(event)
    if (value === undefined || !this.#isStill(record, given, value)) {
      given.isPassedOver = true
      return false
    }
    given.consumed = this.#rules.consumed?.(value, given.row) ?? NO_ROWS
    entry.write(event, this.#rules.fired?.(value, given.row), undefined)
    for (const row of given.consumed) this.#rows.entryOf(row).write(event, undefined, undefined)
    event.hold(given)
    return true
  }

  finish(record: RawRecord): void {
    const given = this.#given.get(record)
    if (given === undefined) return
    this.#given.delete(record)
    if (given.time === this.#earliest) this.#earliest = undefined
    if (!given.isPassedOver) this.#fire(given)
    const { entry, row, time } = given
    const due = this.#dueOf(row)
    this.#index.near.giveBack(entry, due === time)
    if (due !== time) this.#move(entry, row, due)
    if (due === undefined) return
    // A row that is due again at once needs no alarm.
    if (due <= this.#alarm.now) this.onDue()
    else this.#alarm.lower(due)
  }

  /** When the next row may be due; `Infinity` if none is. */
  get nextTime(): number {
    const { first } = this.#index.near
    return first === undefined ? Infinity : timeOf(first)
  }

  /** Whether this record belongs to a row that is due here. */
  isGiven(record: RawRecord): boolean {
    return this.#given.has(record)
  }

  close(): void {
    this.#alarm.close()
    this.#given.clear()
    this.#held = []
  }

  /** Called when its event has ended. A dead letter has dropped all effects of the event by then. */
  #fire({ row, time, isFired, consumed }: GivenRow): void {
    this.fired++
    this.#rows.firedNow(row)
    if (isFired) return consumed.forEach((other) => this.#rows.firedNow(other))
    if (this.#dueOf(row) !== time) return
    const entry = this.#rows.entryOf(row)
    const { value } = entry
    if (value === undefined) return
    const others = this.#rules.consumed?.(value, row) ?? NO_ROWS
    entry.replace(this.#rules.fired?.(value, row), undefined)
    for (const other of others) {
      this.#rows.firedNow(other)
      this.#rows.entryOf(other).replace(undefined, undefined)
    }
  }

  /** The first entry that can be given out. Moves entries whose rows are due later, and deletes expired rows. */
  #front(): DueEntry | undefined {
    const { near } = this.#index
    let hasExpired = false
    try {
      for (let step = 0; step < STEPS_PER_TURN; step++) {
        const entry = near.first
        const time = entry === undefined ? Infinity : timeOf(entry)
        if (entry === undefined || time > this.#alarm.now) {
          this.#alarm.set(time)
          return undefined
        }
        const row = rowOf(entry)
        const value = this.#rows.finishedValue(row)
        const due = this.#timeOf(value)
        if (value === undefined || due !== time) this.#move(entry, row, due)
        else if (this.#rules.isExpiry?.(value) !== true) return entry
        else if (this.#rows.dirtyBytes > MOST_CHANGED_BYTES) {
          this.#commitSoon()
          return undefined
        } else if (this.#expire(entry, row)) hasExpired = true
      }
      this.#alarm.soon()
      return undefined
    } finally {
      if (hasExpired) this.#touch()
    }
  }

  #expire(entry: DueEntry, row: Buffer): boolean {
    const cached = this.#rows.entryOf(row)
    if (cached.holder?.open === true) {
      this.#index.near.take(entry)
      this.#held.push(entry)
      return false
    }
    this.expired++
    cached.replace(undefined, undefined)
    return true
  }

  /** The row of this entry is due at another time, or never. */
  #move(entry: DueEntry, row: Buffer, due: number | undefined): void {
    // A row that is due earlier has an entry at that time.
    if (due !== undefined && due > timeOf(entry)) {
      this.#index.put(dueEntry(due, row))
      this.#alarm.lower(due)
    }
    this.#index.delete(entry)
  }

  #dueOf(row: Buffer): number | undefined {
    return this.#timeOf(this.#rows.finishedValue(row))
  }

  /** When a row with this value is due, as entries have it: in whole milliseconds. */
  #timeOf(value: V | undefined): number | undefined {
    const due = value === undefined ? undefined : this.#rules.dueOf(value)
    return due === undefined ? undefined : Math.ceil(due)
  }

  #recordOf({ entry, row, time }: GivenRow, value: V): RawRecord {
    const record = this.#rules.record(row, value)
    const { offset = identityOf(entry), timestamp = time } = record
    return { ...record, offset, timestamp }
  }

  /** Whether the row is still due at the same time with the same value. */
  #isStill({ value: given }: RawRecord, { row, time }: GivenRow, value: V): boolean {
    if (this.#timeOf(value) !== time) return false
    const { value: now } = this.#rules.record(row, value)
    return given === null || now === null ? given === now : given.equals(now)
  }

  /** No later record is older than this, except for a row that is set for a time in the past. */
  #finishedTime(): number {
    this.#earliest ??= [...this.#given.values()].reduce((earliest, { time }) => Math.min(earliest, time), Infinity)
    const first = this.#index.near.first
    return Math.min(this.#earliest, first === undefined ? Infinity : timeOf(first), this.#alarm.now)
  }
}

/** The offset of an entry's event: 48 bits of a digest, so that it is the same after every restart. */
function identityOf(entry: DueEntry): number {
  return createHash('sha1').update(entry, 'latin1').digest().readUIntBE(0, 6)
}
