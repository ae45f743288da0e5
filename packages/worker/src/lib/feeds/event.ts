import {
  type Effect,
  type EventInHand,
  type EventScope,
  MillraceError,
  RecordRefusedError,
  type OutgoingRecord,
  type RawRecord,
  type Readable,
  type SendReceipt,
  type SendRequest,
} from '@millrace/core'
import { mustFit } from '../sending/must-fit.ts'
import { Outgoing, type SendOrigin } from '../sending/outgoing.ts'
import type { HandingTask, PartitionCursor } from './partition-cursor.ts'
import { isOutdated, type ReadSet } from './read-log.ts'

/** The feed that handed it out. */
export interface EventHome {
  /** To be handed out again after a while. */
  again(event: Event, delayMs: number): void
  /** To be handed out again when `holder` is done. */
  after(event: Event): void
  /** Another event waits for one of this feed. */
  wanted(): void
  /** Events in hand are waited for. */
  readonly draining: boolean
  /** What it waited for is done. */
  release(event: Event): void
}

/** Where an event stands among those of its feed and partition. */
export interface EventSlot {
  readonly home: EventHome
  readonly cursor: PartitionCursor
  /** In the cursor's tracker. */
  readonly number: number
  /** Among all events of the worker, by first hand-out. */
  readonly order: number
}

/** How often an event may find that what it has read was changed, before it holds what it reads. */
const MOST_OUTDATED = 3
/** Of what it has read, in messages. */
const MOST_SHOWN = 3

/** In hand; in hand but given up for another event; done with. */
const OPEN = 0
const ASIDE = 1
const OVER = 2

/**
 * One event while an agent works on it, and nothing but a few references: lists come into being with the first effect.
 * A retry makes a new one, so that work which floats past its event finds it closed. All in one class: with layers that
 * extend each other an event takes twice as long to make and finish (measured), and a part beside it is one more object.
 */
export class Event implements EventInHand, SendOrigin {
  readonly record: RawRecord
  readonly attempts: number
  readonly home: EventHome
  readonly cursor: PartitionCursor
  readonly number: number
  readonly order: number
  #state: typeof OPEN | typeof ASIDE | typeof OVER = OPEN
  #effects: Effect[] | undefined = undefined
  #sends: Outgoing[] | undefined = undefined
  #sendBytes = 0
  /** Some of its sends have gone out. */
  #spilled = false
  /** What it has read before another event of its task did: what it has read since is in the task's log. */
  #reads: ReadSet | undefined = undefined
  /** How often it was given up because of what it had read. */
  #outdated = 0
  #joined: Event[] | undefined = undefined
  /** The first of the batch that it is in, when that is another. */
  #first: Event | undefined = undefined
  #holder: Event | undefined = undefined
  #waiting: Event[] | undefined = undefined

  constructor(slot: EventSlot, record: RawRecord, attempts: number) {
    this.record = record
    this.attempts = attempts
    this.home = slot.home
    this.cursor = slot.cursor
    this.number = slot.number
    this.order = slot.order
  }

  get topic(): string {
    return this.cursor.place.source.topic
  }

  get partition(): number {
    return this.cursor.place.source.partition
  }

  get offset(): number {
    return this.record.offset
  }

  get timestamp(): number {
    return this.record.timestamp
  }

  get task(): HandingTask {
    return this.cursor.task
  }

  get agent(): string {
    return this.cursor.place.spec.agent
  }

  get keyCodec(): string | undefined {
    return this.cursor.place.keyCodec
  }

  get signal(): AbortSignal {
    return this.cursor.task.signal
  }

  get open(): boolean {
    return this.#state !== OVER && !this.cursor.task.closed
  }

  get fate(): Event {
    return this.#first ?? this
  }

  get isSetAside(): boolean {
    const first = this.fate
    return first.#state === ASIDE || (first.#state === OPEN && first.#isOutdated())
  }

  get holdsReads(): boolean {
    return this.fate.#outdated >= MOST_OUTDATED
  }

  get isWanted(): boolean {
    return this.#waiting !== undefined || this.cursor.task.closedToNew || this.home.draining
  }

  get refused(): Error | undefined {
    return this.cursor.refusalOf(this.record.offset, this.attempts)
  }

  /** It and those that share its fate as members of its batch. */
  batch(): readonly Event[] {
    return this.#joined === undefined ? [this] : [this, ...this.#joined]
  }

  describe(): string {
    return `${this.topic}/${this.partition}@${this.offset} of agent ${this.agent}`
  }

  refusal(record: OutgoingRecord, error: Error): MillraceError {
    return new RecordRefusedError(
      record,
      `A record to ${record.topic}/${record.partition}, sent for ${this.describe()}, was refused.`,
      {
        cause: error,
      },
    )
  }

  hold(effect: Effect): void {
    this.#mustBeOpen()
    if (this.#effects === undefined) this.#effects = [effect]
    else this.#effects.push(effect)
  }

  send(request: SendRequest): SendReceipt {
    this.#mustBeOpen()
    const { maxRecordBytes, maxEventBytes } = this.cursor.place
    const record = new Outgoing(request, this)
    mustFit(record, maxRecordBytes)
    if (this.#sends === undefined) this.#sends = [record]
    else this.#sends.push(record)
    this.#sendBytes += record.size
    if (this.#sendBytes > maxEventBytes && this.#state === OPEN) this.#spill()
    return record
  }

  setAside(holder: EventScope, what: string): void {
    const other = holder instanceof Event ? holder.fate : undefined
    if (other !== undefined && this.#goesBefore(other)) return other.#giveUp(this.fate)
    this.#giveUp(other)
    throw new MillraceError(
      'KEY_IN_HAND',
      `${this.describe()} needs ${what}, which ${holder.topic}/${holder.partition}@${holder.offset} of agent ${holder.agent} has in hand.`,
    )
  }

  handBack(): void {
    this.#giveUp(undefined)
  }

  noteRead(what: Readable, version: number): void {
    this.cursor.task.reads.add(this, what, version)
  }

  /** What it has read so far, because another event reads now. */
  keepReads(reads: ReadSet): void {
    if (this.#reads === undefined) this.#reads = reads
    else for (const [what, version] of reads) if (!this.#reads.has(what)) this.#reads.set(what, version)
  }

  handBackIfOutdated(): boolean {
    const first = this.fate
    if (!first.open || first.#state === ASIDE || !first.#hasOutdatedReads()) return false
    first.#giveUpOutdated()
    return true
  }

  describeReads(): readonly string[] {
    const reads = new Set([...(this.#reads?.keys() ?? []), ...this.cursor.task.reads.of(this)])
    return [...reads].slice(0, MOST_SHOWN).map((what) => what.show())
  }

  finish(): boolean {
    this.#mustNotBeOver()
    if (this.#state === OPEN && this.#isOutdated()) this.#giveUpOutdated()
    if (this.#state === OPEN) return this.#complete()
    this.#goBehind()
    return false
  }

  /** Of a batch each in its turn: what the first one changes is no news to the others. */
  #complete(): boolean {
    const { task, tracker, place } = this.cursor
    if (task.closed) {
      this.#lose()
      return false
    }
    this.#state = OVER
    task.reads.forget(this)
    if (this.#effects !== undefined) for (const effect of this.#effects) effect.apply()
    if (this.#sends !== undefined) this.#sendAll(this.#sends)
    if (this.#spilled) task.spillEnded(true)
    tracker.finish(this.number)
    const { counters } = place
    counters.processed++
    counters.active--
    task.left()
    // The next refusal opens the task again: what has become of this event should not be done once more.
    if (place.refusals !== undefined && place.refusals.has(this.record.offset)) task.requestCut()
    if (this.#joined !== undefined) for (const other of this.#joined) other.#complete()
    if (this.#waiting !== undefined) this.#releaseWaiting()
    return true
  }

  rollback(error?: Error): void {
    this.#mustNotBeOver()
    this.#noteFailure(error)
    this.#drop()
    if (this.#state === OPEN) this.cursor.place.counters.failed++
    if (this.#joined !== undefined) for (const other of this.#joined) other.rollback(error)
  }

  retry(delayMs: number): void {
    this.#mustNotBeOver()
    if (this.cursor.task.closed) return this.#lose()
    if (this.#state === ASIDE) return this.#goBehind()
    const { counters } = this.cursor.place
    counters.failed++
    counters.retried++
    this.#noteFailure(undefined)
    this.#goBack(delayMs, this.attempts + 1)
    if (this.#joined !== undefined) for (const other of this.#joined) other.retry(delayMs)
  }

  putBack(): void {
    this.#mustNotBeOver()
    if (this.cursor.task.closed) return this.#lose()
    if (this.#state === ASIDE) return this.#goBehind()
    this.#goBack(0, this.attempts)
    if (this.#joined !== undefined) for (const other of this.#joined) other.putBack()
  }

  join(other: EventInHand): void {
    this.#mustBeOpen()
    if (!(other instanceof Event) || other.cursor.task !== this.cursor.task)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Only events of one task share a fate; ${this.describe()} cannot take over one of another.`,
      )
    if (this.#joined === undefined) this.#joined = [other]
    else this.#joined.push(other)
    other.#first = this
    // It is not in hand by itself any more: the batch goes back as one.
    if (other.#state !== ASIDE) return
    other.#state = OPEN
    if (this.#state === OPEN) this.#giveUp(other.#holder)
  }

  /** Handed out again when it has ended, after `holder` if there is one. With all of its batch. */
  #giveUp(holder: Event | undefined): void {
    this.#mustBeOpen()
    const first = this.fate
    if (first.#state === OPEN) first.#holder = holder
    first.#state = ASIDE
    first.#dropAll()
  }

  #giveUpOutdated(): void {
    this.#outdated++
    this.#giveUp(undefined)
  }

  /** Of two that need the same key. What has sent more than it may hold cannot be taken back without harm. */
  #goesBefore(other: Event): boolean {
    return this.fate.order < other.order && !other.#spilled
  }

  /** Something rests on what it has read, and that is no longer so. */
  #isOutdated(): boolean {
    return this.#hasOutdatedReads() && this.batch().some((one) => one.#effects !== undefined || one.#sendBytes > 0)
  }

  #hasOutdatedReads(): boolean {
    const { reads } = this.cursor.task
    if (reads.isOutdated(this) || (this.#reads !== undefined && isOutdated(this.#reads))) return true
    return this.#joined !== undefined && this.#joined.some((other) => other.#hasOutdatedReads())
  }

  #dropAll(): void {
    this.#drop()
    if (this.#joined !== undefined) for (const other of this.#joined) other.#drop()
  }

  #goBack(delayMs: number, attempts: number): void {
    this.#leaveHand()
    // What it had sent before its end was in a transaction, with which its task is gone.
    if (this.cursor.task.closed) return
    this.home.again(this.#anew(attempts), delayMs)
    this.#releaseWaiting()
  }

  /** Handed out again after the event that has what it needs. */
  #goBehind(): void {
    const holder = this.#holder
    this.#leaveHand()
    const next = this.#anew(this.attempts)
    if (holder === undefined || !holder.open) this.home.again(next, 0)
    else {
      this.home.after(next)
      if (holder.#waiting === undefined) holder.#waiting = [next]
      else holder.#waiting.push(next)
      holder.home.wanted()
    }
    if (this.#joined !== undefined) for (const other of this.#joined) other.putBack()
    this.#releaseWaiting()
  }

  #anew(attempts: number): Event {
    const next = new Event(this, this.record, attempts)
    next.#outdated = Math.max(this.#outdated, this.fate.#outdated)
    return next
  }

  #leaveHand(): void {
    this.#state = OVER
    this.#drop()
    this.cursor.place.counters.active--
    this.cursor.task.left()
  }

  /** Its task is lost, and its batch with it. */
  #lose(): void {
    this.#state = OVER
    this.#drop()
    this.cursor.place.counters.active--
    if (this.#joined !== undefined) for (const other of this.#joined) if (other.#state !== OVER) other.#lose()
  }

  #drop(): void {
    if (this.#effects !== undefined) for (const effect of this.#effects) effect.drop(this)
    this.#effects = undefined
    if (this.#sends !== undefined) for (const record of this.#sends) record.dropped()
    this.#sends = undefined
    this.#sendBytes = 0
    this.#reads = undefined
    this.cursor.task.reads.forget(this)
    if (!this.#spilled) return
    this.#spilled = false
    this.cursor.task.spillEnded(false)
  }

  /** Its task is opened again when what it has sent is to be taken back; how often it has failed must outlive that. */
  #noteFailure(error: Error | undefined): void {
    if (this.batch().some((one) => one.#spilled)) this.cursor.task.spillFailed(this, error)
  }

  /** More than an event may hold: it goes out now, and a failure afterwards cannot take it back. */
  #spill(): void {
    if (!this.#spilled) this.cursor.task.spillBegan()
    this.#spilled = true
    if (this.#sends !== undefined) this.#sendAll(this.#sends)
    this.#sends = undefined
  }

  #sendAll(records: readonly Outgoing[]): void {
    const { output } = this.cursor.task
    const { counters } = this.cursor.place
    for (const record of records) {
      counters.sent(record.topic)
      output.add(record)
    }
  }

  #releaseWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) for (const event of waiting) event.home.release(event)
  }

  #mustBeOpen(): void {
    if (!this.open) throw this.#isOver()
  }

  /** A lost event may still be ended: that changes nothing. */
  #mustNotBeOver(): void {
    if (this.#state === OVER) throw this.#isOver()
  }

  #isOver(): MillraceError {
    return new MillraceError('NO_CURRENT_EVENT', `The event ${this.describe()} is no longer in hand.`)
  }
}
