import { isMillraceError, MillraceError, type OutgoingRecord, type RawRecord, RecordRefusedError } from '@millrace/core'
import type { CurrentEvent, Effect, HandedOutEvent, Readable, SendRequest } from '../contracts/event.ts'
import type { SendReceipt } from '../contracts/task.ts'
import { DRAINING } from '../environment/not-now.ts'
import { mustFit, Outgoing, type SendOrigin } from '../sending/outgoing.ts'
import type { EventOrigin } from './event-origin.ts'
import type { Task } from './task.ts'

/** The record queue that handed out an event, and takes it back if the event ends without being finished. */
export interface EventQueue {
  /** Index of the agent's instance. */
  readonly index: number
  /** Hands the event out again after a delay. */
  requeue(event: EventInFlight, delayMs: number): void
  /** Hands the event out again when the event that it waits for is done. */
  defer(event: EventInFlight): void
  /** Called when another event waits for one of this queue. */
  wanted(): void
  /** Called when an event that was handed out before is handled now. */
  handedOn(event: EventInFlight): void
  /** Called when the event that this one waited for is done. */
  release(event: EventInFlight): void
}

/** The place of an event among those of its queue and partition. */
export interface EventSlot {
  readonly queue: EventQueue
  readonly origin: EventOrigin
  /** Its number in the origin's tracker. */
  readonly number: number
  /** Its order among all events of the worker, by first hand-out. */
  readonly order: number
}

/** Makes the event of the record that its origin has given next. */
export function eventOf(record: RawRecord, origin: EventOrigin, queue: EventQueue): EventInFlight {
  const number = origin.tracker.hand(record.offset)
  const slot = { queue, origin, number, order: origin.task.handOut.nextOrder() }
  // An event may have failed before its task was reopened.
  return new EventInFlight(slot, record, origin.refusals?.get(record.offset)?.attempts ?? 0)
}

/** An event that fails this often because others changed what it had read then holds what it reads. */
const MOST_OUTDATED = 3
/** How many read keys a message shows. */
const MOST_SHOWN = 3

/** The agent works on the event; it does, and will get it again; the event is over. */
const OPEN = 0
const DEFERRED = 1
const OVER = 2
type EventState = typeof OPEN | typeof DEFERRED | typeof OVER

/**
 * One event while an agent works on it. It consists of a few references; lists are made with the first effect. A retry
 * makes a new object, so that late work of the previous attempt finds its event closed. The loss of its task drops the
 * event's effects and sends at once, and nothing that the agent does with the event afterwards has an effect.
 * Everything is in one class, because an event in layers of subclasses took twice as long to make and finish
 * (measured), and a separate part would be one more object.
 */
export class EventInFlight implements HandedOutEvent, SendOrigin {
  readonly record: RawRecord
  readonly attempts: number
  readonly queue: EventQueue
  readonly origin: EventOrigin
  readonly number: number
  readonly order: number
  #state: EventState = OPEN
  #effects: Effect[] | undefined = undefined
  #sends: Outgoing[] | undefined = undefined
  #sendBytes = 0
  /** Whether some of its sends have gone out. */
  #spilled = false
  /** How often it was given up because its reads were outdated. */
  #outdated = 0
  #joined: EventInFlight[] | undefined = undefined
  /** The leader of its batch, if that is another event. */
  #first: EventInFlight | undefined = undefined
  #holder: EventInFlight | undefined = undefined
  #waiting: EventInFlight[] | undefined = undefined

  constructor(slot: EventSlot, record: RawRecord, attempts: number) {
    this.record = record
    this.attempts = attempts
    this.queue = slot.queue
    this.origin = slot.origin
    this.number = slot.number
    this.order = slot.order
  }

  get topic(): string {
    return this.origin.topic
  }

  get partition(): number {
    return this.origin.partition
  }

  get offset(): number {
    return this.record.offset
  }

  get timestamp(): number {
    return this.record.timestamp
  }

  get hasOneTime(): boolean {
    const { timestamp } = this.record
    return this.#joined === undefined || this.#joined.every(({ record }) => record.timestamp === timestamp)
  }

  get task(): Task {
    return this.origin.task
  }

  get agent(): string {
    return this.origin.subscription.spec.agent
  }

  get instance(): number {
    return this.queue.index
  }

  get keyCodec(): string | undefined {
    return this.origin.keyCodec
  }

  get signal(): AbortSignal {
    return this.origin.task.signal
  }

  get open(): boolean {
    return this.#state !== OVER && !this.origin.task.closed
  }

  get batchLeader(): EventInFlight {
    return this.#first ?? this
  }

  get isDeferred(): boolean {
    const first = this.batchLeader
    return first.#state === DEFERRED || (first.#state === OPEN && first.#isOutdated())
  }

  get holdsReads(): boolean {
    return this.batchLeader.#outdated >= MOST_OUTDATED
  }

  get isWanted(): boolean {
    const { task } = this.origin
    if (this.#waiting !== undefined || (task.blocked | (task.handOut.blocked & DRAINING)) !== 0) return true
    return this.origin.waitsForEvents
  }

  get refused(): Error | undefined {
    const refusal = this.origin.refusals?.get(this.record.offset)
    return refusal?.attempts === this.attempts ? refusal.error : undefined
  }

  /** Whether it may have blocked the event loop of a worker, and is to be tried once more. */
  get mayBlock(): boolean {
    const refusal = this.origin.refusals?.get(this.record.offset)
    return refusal?.mayBlock === true && refusal.error === undefined
  }

  handedOn(): void {
    this.queue.handedOn(this)
  }

  /** The event and the members of its batch. */
  batch(): readonly EventInFlight[] {
    return this.#joined === undefined ? [this] : [this, ...this.#joined]
  }

  describe(): string {
    return `${this.topic}/${this.partition}@${this.offset} of agent ${this.agent}`
  }

  refusal(record: OutgoingRecord, error: Error): MillraceError {
    return new RecordRefusedError(
      record,
      `A record to ${record.topic}/${record.partition}, sent for ${this.describe()}, was refused: ${isMillraceError(error) ? error.detail : error.message}`,
      {
        cause: error,
      },
    )
  }

  hold(effect: Effect): void {
    this.#mustBeOpen()
    if (this.#effects === undefined) {
      this.#effects = [effect]
      this.origin.tracker.keep(this.number, this)
    } else this.#effects.push(effect)
  }

  send(request: SendRequest): SendReceipt {
    this.#mustBeOpen()
    const { maxRecordBytes, maxEventBytes } = this.origin.limits
    const record = new Outgoing(request, this)
    mustFit(record, maxRecordBytes)
    if (this.#sends === undefined) {
      this.#sends = [record]
      this.origin.tracker.keep(this.number, this)
    } else this.#sends.push(record)
    this.#sendBytes += record.size
    if (this.#sendBytes > maxEventBytes && this.#state === OPEN) this.#spill()
    return record
  }

  withdraw(sent: SendReceipt): boolean {
    const at = this.#sends?.findIndex((record) => record === sent) ?? -1
    const [record] = at < 0 ? [] : (this.#sends?.splice(at, 1) ?? [])
    if (record === undefined) return false
    this.#sendBytes -= record.size
    record.dropped()
    return true
  }

  resolveConflict(holder: CurrentEvent, what: string): void {
    const other = holder instanceof EventInFlight ? holder.batchLeader : undefined
    if (other !== undefined && this.#precedes(other)) return other.#defer(this.batchLeader)
    this.#defer(other)
    throw new MillraceError(
      'KEY_CONFLICT',
      `${this.describe()} needs ${what}, which ${holder.topic}/${holder.partition}@${holder.offset} of agent ${holder.agent} holds.`,
    )
  }

  defer(): void {
    this.#defer(undefined)
  }

  noteRead(what: Readable, version: number): void {
    this.origin.task.reads.add(this, what, version)
  }

  deferIfOutdated(): boolean {
    const first = this.batchLeader
    if (first.#state !== OPEN || !first.open || !first.#hasOutdatedReads()) return false
    first.#deferOutdated()
    return true
  }

  describeReads(): readonly string[] {
    const reads = this.origin.task.reads.of(this)
    return reads.slice(0, MOST_SHOWN).map((what) => what.show())
  }

  changedRows(): ReadonlyMap<string, number> {
    const rows = new Map<string, number>()
    for (const each of this.batch())
      for (const { changes } of each.#effects ?? [])
        if (changes !== undefined) rows.set(changes, (rows.get(changes) ?? 0) + 1)
    return rows
  }

  finish(): boolean {
    this.#mustNotBeOver()
    if (this.origin.task.closed) {
      this.#endLost()
      return false
    }
    if (this.#state === OPEN && this.#isOutdated()) this.#deferOutdated()
    if (this.#state === OPEN) return this.#complete()
    this.#requeueBehind()
    return false
  }

  /**
   * Completes the events of a batch one after the other, so that changes by one of them do not make the others
   * outdated.
   */
  #complete(): boolean {
    const { origin } = this
    const { task, tracker, counters, refusals } = origin
    this.#state = OVER
    task.reads.forget(this)
    if (this.#effects !== undefined) for (const effect of this.#effects) effect.apply()
    if (this.#sends !== undefined) this.#sendAll(this.#sends)
    if (this.#spilled) task.spillEnded(true)
    origin.finished(this.number, this.record)
    if (this.#effects !== undefined || this.#sends !== undefined || this.#spilled) tracker.forget(this.number)
    counters.processed++
    counters.active--
    task.left()
    // The next refusal reopens the task, and this event should not be handled once more then, so it is committed soon.
    if (refusals !== undefined && refusals.has(this.record.offset)) task.commitSoon()
    if (this.#joined !== undefined) for (const other of this.#joined) other.#complete()
    if (this.#waiting !== undefined) this.#releaseWaiting()
    return true
  }

  rollback(error?: Error): void {
    this.#mustNotBeOver()
    if (this.origin.task.closed) return
    if (this.#state === OPEN) this.origin.counters.failed++
    this.#noteFailure(error)
    this.#drop()
    if (this.#joined !== undefined) for (const other of this.#joined) other.rollback(error)
  }

  retry(delayMs: number): void {
    this.#mustNotBeOver()
    if (this.origin.task.closed) return this.#endLost()
    if (this.#state === DEFERRED) return this.#requeueBehind()
    const { counters } = this.origin
    counters.failed++
    counters.retried++
    this.#noteFailure(undefined)
    this.#requeue(delayMs, this.attempts + 1)
    if (this.#joined !== undefined) for (const other of this.#joined) other.retry(delayMs)
  }

  requeue(): void {
    this.#mustNotBeOver()
    if (this.origin.task.closed) return this.#endLost()
    if (this.#state === DEFERRED) return this.#requeueBehind()
    this.#requeue(0, this.attempts)
    if (this.#joined !== undefined) for (const other of this.#joined) other.requeue()
  }

  join(other: HandedOutEvent): void {
    this.#mustBeOpen()
    if (!(other instanceof EventInFlight) || other.origin.task !== this.origin.task)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Only events of one task share a batchLeader; ${this.describe()} cannot take over an event of another task.`,
      )
    if (this.#joined === undefined) this.#joined = [other]
    else this.#joined.push(other)
    other.#first = this
    // A deferred event stops waiting by itself, because from now on the batch is handed out again as one.
    if (other.#state !== DEFERRED) return
    other.#state = OPEN
    if (this.#state === OPEN) this.#defer(other.#holder)
  }

  /** Marks the event and all of its batch to be handed out again when it ends, and after `holder`, if given. */
  #defer(holder: EventInFlight | undefined): void {
    this.#mustBeOpen()
    const first = this.batchLeader
    if (first.#state === OPEN) first.#holder = holder
    first.#state = DEFERRED
    first.#dropAll()
  }

  #deferOutdated(): void {
    this.#outdated++
    this.#defer(undefined)
  }

  /**
   * Which of two events that need the same key goes first. An event that has spilled sends cannot be rolled back
   * without harm, so it is not preceded.
   */
  #precedes(other: EventInFlight): boolean {
    return this.batchLeader.order < other.order && !other.#spilled
  }

  /** Whether it has effects or sends that may rest on values that have changed since it read them. */
  #isOutdated(): boolean {
    return this.#hasOutdatedReads() && this.batch().some((one) => one.#effects !== undefined || one.#sendBytes > 0)
  }

  #hasOutdatedReads(): boolean {
    if (this.origin.task.reads.isOutdated(this)) return true
    return this.#joined !== undefined && this.#joined.some((other) => other.#hasOutdatedReads())
  }

  #dropAll(): void {
    this.#drop()
    if (this.#joined !== undefined) for (const other of this.#joined) other.#drop()
  }

  #requeue(delayMs: number, attempts: number): void {
    this.#end()
    // If its sends had gone out in a transaction, the task was closed to abort them.
    if (this.origin.task.closed) return
    this.queue.requeue(this.#anew(attempts), delayMs)
    this.#releaseWaiting()
  }

  /** Hands the event out again after the event that holds what it needs. */
  #requeueBehind(): void {
    const holder = this.#holder
    this.#end()
    const next = this.#anew(this.attempts)
    if (holder === undefined || !holder.open) this.queue.requeue(next, 0)
    else {
      this.queue.defer(next)
      if (holder.#waiting === undefined) holder.#waiting = [next]
      else holder.#waiting.push(next)
      holder.queue.wanted()
    }
    if (this.#joined !== undefined) for (const other of this.#joined) other.requeue()
    this.#releaseWaiting()
  }

  #anew(attempts: number): EventInFlight {
    const next = new EventInFlight(this, this.record, attempts)
    next.#outdated = Math.max(this.#outdated, this.batchLeader.#outdated)
    return next
  }

  #end(): void {
    this.#state = OVER
    this.#drop()
    this.origin.counters.active--
    this.origin.task.left()
  }

  /** Called when the task is lost. Only an event with effects or sends has anything to drop. */
  lose(): void {
    if (this.#state === OVER) return
    this.#drop()
    this.#releaseWaiting()
  }

  /** Ends a lost event when its agent is done with it. */
  #endLost(): void {
    this.#state = OVER
    this.origin.counters.active--
    if (this.#joined !== undefined) for (const other of this.#joined) if (other.#state !== OVER) other.#endLost()
  }

  #drop(): void {
    if (this.#effects !== undefined || this.#sends !== undefined || this.#spilled)
      this.origin.tracker.forget(this.number)
    if (this.#effects !== undefined) for (const effect of this.#effects) effect.drop(this)
    this.#effects = undefined
    if (this.#sends !== undefined) for (const record of this.#sends) record.dropped()
    this.#sends = undefined
    this.#sendBytes = 0
    this.origin.task.reads.forget(this)
    if (!this.#spilled) return
    this.#spilled = false
    if (!this.origin.task.closed) this.origin.task.spillEnded(false)
  }

  /** The task is reopened to abort sends that have gone out, and the count of failed attempts must outlive that. */
  #noteFailure(error: Error | undefined): void {
    if (this.batch().some((one) => one.#spilled)) this.origin.task.spillFailed(this, error)
  }

  /** Sends what is more than an event may hold. A later failure cannot take it back. */
  #spill(): void {
    if (!this.#spilled) this.origin.task.spillBegan()
    this.#spilled = true
    if (this.#sends !== undefined) this.#sendAll(this.#sends)
    this.#sends = undefined
  }

  #sendAll(records: readonly Outgoing[]): void {
    const { counters, task } = this.origin
    for (const record of records) {
      counters.sent(record.topic)
      task.output.add(record)
    }
  }

  #releaseWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) for (const event of waiting) event.queue.release(event)
  }

  #mustBeOpen(): void {
    if (!this.open) throw this.#isOver()
  }

  /** Ending a lost event is allowed, and changes nothing. */
  #mustNotBeOver(): void {
    if (this.#state === OVER) throw this.#isOver()
  }

  #isOver(): MillraceError {
    return new MillraceError('NO_CURRENT_EVENT', `The event ${this.describe()} is no longer in flight.`)
  }
}
