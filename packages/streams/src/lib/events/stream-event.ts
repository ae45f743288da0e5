import type { EventTrace } from '@millrace/core'
import type { ClientContext, CurrentEvent, ProcessingContext, WorkerContext } from '@millrace/worker'
import type { FinishedAs } from './agent-context.ts'
import { EventTimer } from './event-timer.ts'
import { Event } from './event.ts'
import { endTrace, type StreamOrigin, type InFlight } from './in-flight.ts'
import { dueEventId } from './replay-mark.ts'
import { Replies } from './replies.ts'
import type { EventTarget } from './targets.ts'

const ALONE: readonly StreamEvent[] = Object.freeze([])

/**
 * One event on its way through the steps of a stream and to an agent. The async context carries it too, so that late
 * work for an event finds that event, which is closed by then, and not the next one.
 *
 * `flatMap` makes several events of one record, its values, and `take` makes one of several, the batch; all of these
 * end together. The first event of the first record keeps their common state. Ending an event (`finish`, `retry`,
 * `requeue`) counts once; a second call has no effect.
 */
export class StreamEvent extends Event<unknown, unknown> implements ProcessingContext {
  override readonly inFlight: InFlight
  /** For tables and topics; `undefined` for a message of a channel, which has no task. */
  readonly event: CurrentEvent | undefined
  readonly origin: StreamOrigin
  override value: unknown = undefined
  isValueChanged = false
  /** The result of the steps so far: a value, or this event itself. */
  current: unknown = undefined
  /** Whether a step has changed it, so that the bytes no longer match. */
  changed = false
  /** After `noAck()`: only `ack()` finishes it. */
  manual = false
  /** The set that holds it while the user has it under `noAck()`, to be given back if the handler fails. */
  loose: Set<StreamEvent> | undefined = undefined
  /** The event of its record; itself unless `flatMap` has made it. */
  #root: StreamEvent = this
  /** The event that now represents it: that of its batch. */
  #batch: StreamEvent | undefined = undefined
  /** Its values are done and no longer count. */
  #isDone = false
  #isShown = false

  // Set for the record's event only.
  trace: EventTrace | undefined = undefined
  #over = false
  #cameAs: unknown = undefined
  #undecodable: unknown = undefined
  /** The error of `run(fn)`, which shows to which event an error of the handler belongs. */
  #failure: unknown = undefined
  /** Only if its agent has a timeout. */
  timer: EventTimer | undefined = undefined
  #replies: Replies | undefined = undefined
  /** The first record of its batch, with which it ends. */
  #owner: StreamEvent | undefined = undefined
  /** Events of further records that end with this one. */
  #joined: readonly StreamEvent[] = ALONE
  /** How many values are not done; an event to which `flatMap` still gives values counts as one more. */
  #values = 1

  private constructor(inFlight: InFlight, origin: StreamOrigin, event: CurrentEvent | undefined) {
    super()
    this.inFlight = inFlight
    this.origin = origin
    this.event = event
  }

  /** Makes the event of a record that a source has just taken. */
  static of(inFlight: InFlight, origin: StreamOrigin, event: CurrentEvent | undefined): StreamEvent {
    const { counters } = origin.context
    counters.active++
    if (inFlight.attempts === 0) counters.received++
    return new StreamEvent(inFlight, origin, event)
  }

  get agent(): string {
    return this.origin.context.agent
  }

  override get id(): string {
    const { due } = this.origin
    return due === undefined ? super.id : dueEventId(this, due, this.inFlight.record.headers)
  }

  get worker(): WorkerContext {
    return this.origin.context.worker
  }

  get client(): ClientContext {
    return this.origin.context.worker
  }

  override get key(): unknown {
    try {
      return this.origin.keyOf(this.inFlight)
    } catch (error) {
      this.#root.#undecodable = error
      throw error
    }
  }

  get rawValue(): Buffer | null | undefined {
    return this.origin.valueSpec === undefined ? undefined : this.inFlight.record.value
  }

  override get signal(): AbortSignal {
    const { inFlight, origin } = this
    if (origin.context.timeoutMs === undefined) return inFlight.signal
    return (this.#root.timer ??= new EventTimer()).signalWith(inFlight.signal)
  }

  override async forward(target: EventTarget): Promise<void> {
    await target.forwardFrom(this)
  }

  override ack(): void {
    if (this.#batch === undefined) this.done()
    else this.#batch.ack()
  }

  override async run<R>(fn: () => R | Promise<R>): Promise<R> {
    try {
      return await this.origin.context.storage.run(this, fn)
    } catch (error) {
      this.#root.#failure = error
      throw error
    }
  }

  /** Decodes the value; returns false for a tombstone that the agent ignores. */
  decode(): boolean {
    const { inFlight, origin } = this
    if (origin.valueSpec === undefined || inFlight.record.headers.length > 0)
      this.#replies = Replies.to(origin.requestOf(inFlight), inFlight)
    try {
      this.current = this.#cameAs = origin.valueOf(inFlight)
    } catch (error) {
      this.#undecodable = error
      throw error
    }
    return this.current !== null || origin.tombstones
  }

  /** For `events()`: from here on the event is its own value. */
  show(): StreamEvent {
    // The user may still hold it with another value, which it keeps.
    const event = this.#isShown ? this.#split() : this
    if (event !== this) this.#batch = event
    event.#isShown = true
    event.value = this.current
    event.isValueChanged = this.changed
    event.current = event
    event.changed = true
    return event
  }

  /**
   * The event with its decoded value, whatever the steps have made of it; the value is `undefined` if it cannot be
   * decoded.
   */
  original<K, V>(): Event<K, V> {
    const { first } = this
    first.value = first.#cameAs
    first.isValueChanged = false
    const event: Event<unknown, unknown> = first
    return event as Event<K, V>
  }

  /** False once it is over or its task is lost. */
  get open(): boolean {
    return !this.#root.#over && this.inFlight.open
  }

  get over(): boolean {
    return this.#root.#over
  }

  /** The event that keeps the common state of all that end together. */
  get first(): StreamEvent {
    return this.#root.#owner ?? this.#root
  }

  /** All events of records that end with it, which are those of its batch, in order. */
  get members(): readonly StreamEvent[] {
    const { first } = this
    return first.#joined === ALONE ? [first] : [first, ...first.#joined]
  }

  /** Whether it has values on their way or still to be given. */
  get isPartial(): boolean {
    const { first } = this
    return !first.#over && first.#values > 1
  }

  /** For `flatMap`: a further value of it, as an event. */
  withValue(value: unknown): StreamEvent {
    const event = this.#split()
    event.current = value
    event.changed = true
    this.first.#values++
    return event
  }

  /** This value is done, or `flatMap` has given all values of the event, which is finished with its last one. */
  done(): void {
    const { first } = this
    if (this.#isDone || first.#over) return
    // Most events have one value.
    if (first.#values === 1) return first.finish()
    this.#isDone = true
    if (first.open && !first.inFlight.isDeferred) first.#values--
    else first.finish()
  }

  /** For `take`: the event represents all of these, of which it is the first, with the list of their values. */
  lead(members: readonly StreamEvent[], values: readonly unknown[]): void {
    const { first } = this
    first.#values += 1 - members.length
    const joined: StreamEvent[] = []
    const carried = [{ replies: first.#replies, count: first.members.length }]
    for (const member of members) {
      if (member !== this) member.#batch = this
      const other = member.first
      if (other === first) continue
      first.#values += other.#values
      first.inFlight.join(other.inFlight)
      const { members: ended } = other
      carried.push({ replies: other.#replies, count: ended.length })
      first.trace = first.trace?.join(other.trace)
      for (const each of ended) each.#owner = first
      joined.push(...ended)
    }
    if (joined.length > 0) {
      first.#joined = [...first.#joined, ...joined]
      first.#replies = Replies.together(carried)
    }
    this.current = values
    this.changed = true
  }

  /** Finishes the event with its effects; after `rollback()` it has none, or only a dead letter. */
  finish(as: FinishedAs = 'processed'): void {
    const { first } = this
    if (first.#over) return
    // Before its end, because a reply is an effect, and may be the first that rests on its reads.
    const isAnswered = first.#replies !== undefined && first.open && !first.inFlight.isDeferred
    if (isAnswered && !isWaiting(as)) first.#replies?.close()
    first.#release(as)
    // Even if the task is lost: the worker then drops the event's effects.
    if (!first.inFlight.finish()) return
    const { counters } = this.origin.context
    counters[as] += 1 + first.#joined.length
    // The agent gets it when it comes back.
    if (as === 'queued') counters.received--
  }

  /** Drops the effects. The event stays in flight, or is redelivered as one that has failed with this error. */
  rollback(error: Error): void {
    const { first } = this
    if (!first.open) return
    first.inFlight.rollback(error)
    first.#replies?.reset()
  }

  /** Hands the event out again after a delay, counted as an attempt. */
  retry(delayMs: number): void {
    const { first } = this
    if (first.#over) return
    first.#release('retried')
    first.inFlight.retry(delayMs)
  }

  /** Hands the event out again at once, not counted. */
  requeue(): void {
    const { first } = this
    if (first.#over) return
    const { open } = first
    first.#release('givenBack')
    if (open && first.inFlight.attempts === 0) this.origin.context.counters.received -= 1 + first.#joined.length
    first.inFlight.requeue()
  }

  /** Its time is over: aborts what its handler does with its signal. */
  timeOut(error: Error): void {
    this.first.#failure = error
    for (const member of this.members) (member.timer ??= new EventTimer()).abort(error)
  }

  /** Whether `run(fn)` of the event, or of another one of its batch, failed with this error. */
  failedWith(error: unknown): boolean {
    return this.members.some((member) => member.#failure === error)
  }

  /** Whether the error comes from decoding the event, or another one of its batch, so that a retry changes nothing. */
  isUndecodable(error: unknown): boolean {
    return error !== undefined && this.members.some((member) => member.#undecodable === error)
  }

  /** The pending replies of the event and its batch; `undefined` if nobody has asked. */
  get replies(): Replies | undefined {
    return this.first.#replies
  }

  /** A further event of the same record. */
  #split(): StreamEvent {
    const event = new StreamEvent(this.inFlight, this.origin, this.event)
    event.#root = this.#root
    event.manual = this.manual
    return event
  }

  #release(as: FinishedAs | 'retried' | 'givenBack'): void {
    if (this.trace !== undefined) endTrace(this.trace, this, as)
    this.#drop()
    if (this.#joined !== ALONE) for (const member of this.#joined) member.#drop()
  }

  #drop(): void {
    this.#over = true
    this.origin.context.counters.active--
    if (this.loose === undefined) return
    this.loose.delete(this)
    this.loose = undefined
  }
}

/** Whether an event that ends so comes back later: its asker goes on waiting. */
function isWaiting(as: FinishedAs): boolean {
  return as === 'delayed' || as === 'queued'
}
