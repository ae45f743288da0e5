import { isMillraceError, MillraceError, type OutgoingRecord, type RawRecord, RecordRefusedError } from '@millrace/core'
import type { CurrentEvent, Effect, HandedOutEvent, Readable, SendRequest } from '../contracts/event.ts'
import type { SendReceipt } from '../contracts/task.ts'
import { DRAINING } from '../environment/not-now.ts'
import { mustFit, Outgoing, type SendOrigin } from '../sending/outgoing.ts'
import type { EventOrigin } from './event-origin.ts'
import type { Task } from './task.ts'

/** The record queue that handed it out: an event that ends without being finished goes back there. */
export interface EventQueue {
  /** Of the agent's instance. */
  readonly index: number
  /** To be handed out again after a while. */
  requeue(event: EventInFlight, delayMs: number): void
  /** To be handed out again when the event that it waits for is done. */
  defer(event: EventInFlight): void
  /** Another event waits for one of this queue. */
  wanted(): void
  /** It begins to be handled now, though it was handed out before. */
  handedOn(event: EventInFlight): void
  /** What it waited for is done. */
  release(event: EventInFlight): void
}

/** Where an event stands among those of its queue and partition. */
export interface EventSlot {
  readonly queue: EventQueue
  readonly origin: EventOrigin
  /** In the origin's tracker. */
  readonly number: number
  /** Among all events of the worker, by first hand-out. */
  readonly order: number
}

/** The event of the record that its origin has given next. */
export function eventOf(record: RawRecord, origin: EventOrigin, queue: EventQueue): EventInFlight {
  const number = origin.tracker.hand(record.offset)
  const slot = { queue, origin, number, order: origin.task.handOut.nextOrder() }
  // How often it has failed already, before its task was opened again.
  return new EventInFlight(slot, record, origin.refusals?.get(record.offset)?.attempts ?? 0)
}

/** After so many attempts that failed because others changed what it had read, an event holds what it reads. */
const MOST_OUTDATED = 3
/** How much of what it has read messages show. */
const MOST_SHOWN = 3

/** At work; at work, and to be handed out again; over. */
const OPEN = 0
const DEFERRED = 1
const OVER = 2
type EventState = typeof OPEN | typeof DEFERRED | typeof OVER

/**
 * One event while an agent works on it, and nothing but a few references: lists come into being with the first effect.
 * A retry makes a new one, so that work which goes on past its event finds it closed. When its task is lost, its
 * effects and sends are dropped in that moment; whatever its agent does with it afterwards changes nothing. All in one
 * class: with layers that extend each other an event takes twice as long to make and finish (measured), and a part
 * beside it is one more object.
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
  /** Some of its sends have gone out. */
  #spilled = false
  /** How often it was given up because of what it had read. */
  #outdated = 0
  #joined: EventInFlight[] | undefined = undefined
  /** The first of the batch that it is in, when that is another. */
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

  /** It may be what has blocked the event loop of a worker, and is to be tried once more. */
  get mayBlock(): boolean {
    const refusal = this.origin.refusals?.get(this.record.offset)
    return refusal?.mayBlock === true && refusal.error === undefined
  }

  handedOn(): void {
    this.queue.handedOn(this)
  }

  /** It and the members of its batch. */
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

  /** The events of a batch finish one after the other: what one of them changes does not make the others outdated. */
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
    // The next refusal opens the task again. This event should not be handled once more then, so it is committed soon.
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
        `Only events of one task share a batchLeader; ${this.describe()} cannot take over one of another.`,
      )
    if (this.#joined === undefined) this.#joined = [other]
    else this.#joined.push(other)
    other.#first = this
    // It is not in flight by itself any more: the batch goes back as one.
    if (other.#state !== DEFERRED) return
    other.#state = OPEN
    if (this.#state === OPEN) this.#defer(other.#holder)
  }

  /** Handed out again when it has ended, after `holder` if there is one. With all of its batch. */
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

  /** Of two that need the same key. What has sent more than it may hold cannot be taken back without harm. */
  #precedes(other: EventInFlight): boolean {
    return this.batchLeader.order < other.order && !other.#spilled
  }

  /** It has effects or sends that may rest on values that have been changed since it read them. */
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
    // Its sends had gone out in a transaction, and the task was closed to take them back.
    if (this.origin.task.closed) return
    this.queue.requeue(this.#anew(attempts), delayMs)
    this.#releaseWaiting()
  }

  /** Handed out again after the event that has what it needs. */
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

  /** Its task is lost: from now on nothing of it counts. Only an event with effects or sends has something to lose. */
  lose(): void {
    if (this.#state === OVER) return
    this.#drop()
    this.#releaseWaiting()
  }

  /** The agent has come to its end. */
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

  /** To take back what has gone out, its task is opened again; the number of failed attempts must outlive that. */
  #noteFailure(error: Error | undefined): void {
    if (this.batch().some((one) => one.#spilled)) this.origin.task.spillFailed(this, error)
  }

  /** More than an event may hold: it goes out now, and a failure afterwards cannot take it back. */
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

  /** A lost event may still be ended: that changes nothing. */
  #mustNotBeOver(): void {
    if (this.#state === OVER) throw this.#isOver()
  }

  #isOver(): MillraceError {
    return new MillraceError('NO_CURRENT_EVENT', `The event ${this.describe()} is no longer in flight.`)
  }
}
