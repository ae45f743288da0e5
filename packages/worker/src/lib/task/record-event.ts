import {
  type CurrentEvent,
  type Effect,
  type HandedOutEvent,
  isMillraceError,
  MillraceError,
  type OutgoingRecord,
  type RawRecord,
  type Readable,
  RecordRefusedError,
  type SendReceipt,
  type SendRequest,
} from '@millrace/core'
import { DRAINING } from '../environment/not-now.ts'
import { mustFit, Outgoing } from '../sending/outgoing.ts'
import type { OwningTask, PartitionCursor } from './cursor.ts'
import {
  complete,
  DEFERRED,
  dropEffects,
  endLost,
  type EventInFlight,
  type EventQueue,
  type EventSlot,
  type EventState,
  mustBeOpen,
  mustNotBeOver,
  noteFailure,
  OPEN,
  OVER,
  releaseWaiting,
  spill,
} from './event-in-flight.ts'
import { giveUp, giveUpOutdated, goBack, goBehind, goesBefore, hasOutdatedReads, isOutdated } from './giving-way.ts'

/** After so many attempts that failed because others changed what it had read, an event holds what it reads. */
const MOST_OUTDATED = 3
/** How much of what it has read messages show. */
const MOST_SHOWN = 3

/** The event of a record that its cursor has come to. */
export function eventOf(record: RawRecord, cursor: PartitionCursor, queue: EventQueue): EventInFlight {
  const number = cursor.tracker.hand(record.offset)
  const slot = { queue, cursor, number, order: cursor.task.handOut.nextOrder() }
  return new RecordEvent(slot, record, cursor.attemptsAt(record.offset))
}

/**
 * An event in flight, and nothing but a few references. A retry makes a new one, so that work which goes on past its event
 * finds it closed. When its task is lost, its effects and sends are dropped in that moment; whatever its agent does with it
 * afterwards changes nothing. One object of one class: with layers that extend each other an event takes twice as long to
 * make and finish (measured).
 */
export class RecordEvent implements EventInFlight {
  readonly record: RawRecord
  readonly attempts: number
  readonly queue: EventQueue
  readonly cursor: PartitionCursor
  readonly number: number
  readonly order: number
  state: EventState = OPEN
  effects: Effect[] | undefined = undefined
  sends: Outgoing[] | undefined = undefined
  sendBytes = 0
  spilled = false
  outdated = 0
  joined: EventInFlight[] | undefined = undefined
  holder: EventInFlight | undefined = undefined
  waiting: EventInFlight[] | undefined = undefined
  /** The first of the batch that it is in, when that is another. */
  #first: EventInFlight | undefined = undefined

  constructor(slot: EventSlot, record: RawRecord, attempts: number) {
    this.record = record
    this.attempts = attempts
    this.queue = slot.queue
    this.cursor = slot.cursor
    this.number = slot.number
    this.order = slot.order
  }

  get topic(): string {
    return this.cursor.source.topic
  }

  get partition(): number {
    return this.cursor.source.partition
  }

  get offset(): number {
    return this.record.offset
  }

  get timestamp(): number {
    return this.record.timestamp
  }

  get task(): OwningTask {
    return this.cursor.task
  }

  get agent(): string {
    return this.cursor.subscription.spec.agent
  }

  get keyCodec(): string | undefined {
    return this.cursor.keyCodec
  }

  get signal(): AbortSignal {
    return this.cursor.task.signal
  }

  get open(): boolean {
    return this.state !== OVER && !this.cursor.task.closed
  }

  get batchLeader(): EventInFlight {
    return this.#first ?? this
  }

  get isDeferred(): boolean {
    const first = this.batchLeader
    return first.state === DEFERRED || (first.state === OPEN && isOutdated(first))
  }

  get holdsReads(): boolean {
    return this.batchLeader.outdated >= MOST_OUTDATED
  }

  get isWanted(): boolean {
    const { task } = this.cursor
    return this.waiting !== undefined || (task.blocked | (task.handOut.blocked & DRAINING)) !== 0
  }

  get refused(): Error | undefined {
    return this.cursor.refusalOf(this.record.offset, this.attempts)
  }

  batch(): readonly EventInFlight[] {
    return this.joined === undefined ? [this] : [this, ...this.joined]
  }

  anew(attempts: number): EventInFlight {
    const next = new RecordEvent(this, this.record, attempts)
    next.outdated = Math.max(this.outdated, this.batchLeader.outdated)
    return next
  }

  describe(): string {
    return `${this.topic}/${this.partition}@${this.offset} of agent ${this.agent}`
  }

  refusal(record: OutgoingRecord, error: Error): MillraceError {
    const why = isMillraceError(error) ? error.detail : error.message
    const what = `A record to ${record.topic}/${record.partition}, sent for ${this.describe()}, was refused: ${why}`
    return new RecordRefusedError(record, what, { cause: error })
  }

  hold(effect: Effect): void {
    mustBeOpen(this)
    if (this.effects === undefined) {
      this.effects = [effect]
      this.cursor.tracker.keep(this.number, this)
    } else this.effects.push(effect)
  }

  send(request: SendRequest): SendReceipt {
    mustBeOpen(this)
    const { maxRecordBytes, maxEventBytes } = this.cursor.limits
    const record = new Outgoing(request, this)
    mustFit(record, maxRecordBytes)
    if (this.sends === undefined) {
      this.sends = [record]
      this.cursor.tracker.keep(this.number, this)
    } else this.sends.push(record)
    this.sendBytes += record.size
    if (this.sendBytes > maxEventBytes && this.state === OPEN) spill(this)
    return record
  }

  resolveConflict(holder: CurrentEvent, what: string): void {
    const other = holder instanceof RecordEvent ? holder.batchLeader : undefined
    if (other !== undefined && goesBefore(this, other)) return giveUp(other, this.batchLeader)
    giveUp(this, other)
    throw new MillraceError(
      'KEY_IN_HAND',
      `${this.describe()} needs ${what}, which ${holder.topic}/${holder.partition}@${holder.offset} of agent ${holder.agent} holds.`,
    )
  }

  handBack(): void {
    giveUp(this)
  }

  noteRead(what: Readable, version: number): void {
    this.cursor.task.reads.add(this, what, version)
  }

  handBackIfOutdated(): boolean {
    const first = this.batchLeader
    if (first.state !== OPEN || !first.open || !hasOutdatedReads(first)) return false
    giveUpOutdated(first)
    return true
  }

  describeReads(): readonly string[] {
    const reads = this.cursor.task.reads.of(this)
    return reads.slice(0, MOST_SHOWN).map((what) => what.show())
  }

  changedRows(): ReadonlyMap<string, number> {
    const rows = new Map<string, number>()
    for (const each of this.batch())
      for (const { changes } of each.effects ?? [])
        if (changes !== undefined) rows.set(changes, (rows.get(changes) ?? 0) + 1)
    return rows
  }

  finish(): boolean {
    mustNotBeOver(this)
    if (this.cursor.task.closed) {
      endLost(this)
      return false
    }
    if (this.state === OPEN && isOutdated(this)) giveUpOutdated(this)
    if (this.state === OPEN) {
      complete(this)
      return true
    }
    goBehind(this)
    return false
  }

  rollback(error?: Error): void {
    mustNotBeOver(this)
    if (this.cursor.task.closed) return
    if (this.state === OPEN) this.cursor.counters.failed++
    noteFailure(this, error)
    dropEffects(this)
    if (this.joined !== undefined) for (const other of this.joined) other.rollback(error)
  }

  retry(delayMs: number): void {
    mustNotBeOver(this)
    if (this.cursor.task.closed) return endLost(this)
    if (this.state === DEFERRED) return goBehind(this)
    const { counters } = this.cursor
    counters.failed++
    counters.retried++
    noteFailure(this, undefined)
    goBack(this, delayMs, this.attempts + 1)
    if (this.joined !== undefined) for (const other of this.joined) other.retry(delayMs)
  }

  putBack(): void {
    mustNotBeOver(this)
    if (this.cursor.task.closed) return endLost(this)
    if (this.state === DEFERRED) return goBehind(this)
    goBack(this, 0, this.attempts)
    if (this.joined !== undefined) for (const other of this.joined) other.putBack()
  }

  join(other: HandedOutEvent): void {
    mustBeOpen(this)
    if (!(other instanceof RecordEvent) || other.cursor.task !== this.cursor.task)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Only events of one task share a batchLeader; ${this.describe()} cannot take over one of another.`,
      )
    if (this.joined === undefined) this.joined = [other]
    else this.joined.push(other)
    other.#first = this
    // It is not in flight by itself any more: the batch goes back as one.
    if (other.state !== DEFERRED) return
    other.state = OPEN
    if (this.state === OPEN) giveUp(this, other.holder)
  }

  /** Only an event with effects or sends has something to lose. */
  lose(): void {
    if (this.state === OVER) return
    dropEffects(this)
    releaseWaiting(this)
  }
}
