import type { Clock, RawRecord } from '@millrace/core'
import type { DueQueue, StateDefinition } from '../contracts/task.ts'
import { AGENT_HELD, NOT_NOW } from '../environment/not-now.ts'
import type { OriginTimes } from '../records/event-times.ts'
import { AckTracker } from '../records/positions.ts'
import type { EventOrigin, OriginLimits, OriginReader, Refusals } from './event-origin.ts'
import type { EventInFlight } from './event-in-flight.ts'
import type { Task } from './task.ts'
import type { SubscriptionCounters } from './subscription-counters.ts'

export interface DueEventsOptions {
  readonly task: Task
  readonly definition: StateDefinition
  readonly due: DueQueue
  readonly subscription: OriginReader
  readonly limits: OriginLimits
  /** Failures of events from before the task was reopened. */
  readonly refusals: Refusals | undefined
  readonly clock: Pick<Clock, 'monotonic'>
}

/**
 * Hands out as events what a state of the task has due: timers, or windows that close. Progress needs no offset: the
 * commit of a finished event removes its entry from the state. Unfinished events are due again for the next owner.
 */
export class DueEvents implements EventOrigin {
  readonly task: Task
  readonly subscription: OriginReader
  readonly counters: SubscriptionCounters
  readonly limits: OriginLimits
  readonly topic: string
  readonly partition: number
  readonly keyCodec: string | undefined
  readonly refusals: Refusals | undefined
  readonly tracker: AckTracker<EventInFlight> = new AckTracker(0)
  readonly times: DueTimes | undefined
  blocked: number
  readonly #due: DueQueue
  /** `tracker.passed` as of the last commit. */
  #committed = 0

  constructor({ task, definition, due, subscription, limits, refusals, clock }: DueEventsOptions) {
    this.task = task
    this.subscription = subscription
    this.blocked = subscription.held
    this.counters = subscription.counters
    this.limits = limits
    this.topic = definition.name
    this.partition = task.partition
    this.keyCodec = due.keyCodec
    this.refusals = refusals
    this.#due = due
    this.times = due.time === undefined ? undefined : new DueTimes(due, clock)
    due.onDue = () => this.#arrived()
  }

  get hasMore(): boolean {
    return (this.blocked & NOT_NOW.empty) === 0
  }

  get waitsForEvents(): boolean {
    if ((this.blocked & NOT_NOW.uncommitted) === 0) return false
    return this.tracker.handed - this.tracker.passed >= this.limits.maxUncommitted
  }

  defer(on: boolean): void {
    if (on) this.blocked |= NOT_NOW.deferred
    else this.blocked &= ~NOT_NOW.deferred
  }

  hold(reasons: number): void {
    this.blocked = (this.blocked & ~AGENT_HELD) | reasons
  }

  refresh(): number {
    if ((this.blocked & NOT_NOW.empty) === 0 && this.#uncommitted >= this.limits.maxUncommitted / 2)
      this.task.commitSoon()
    this.#limit()
    return this.blocked
  }

  next(): RawRecord | undefined {
    const record = this.#due.next()
    if (record === undefined) this.blocked |= NOT_NOW.empty
    return record
  }

  finished(number: number, record: RawRecord): void {
    this.tracker.finish(number)
    this.#due.finish(record)
    this.task.time?.check()
  }

  committed(passed: number): void {
    if (passed !== this.#committed) this.times?.moved()
    this.#committed = passed
    this.#limit()
    if (this.waitsForEvents) this.task.handOut.wanted()
  }

  get #uncommitted(): number {
    return this.tracker.handed - this.#committed
  }

  #limit(): void {
    if (this.#uncommitted < this.limits.maxUncommitted) this.blocked &= ~NOT_NOW.uncommitted
    else if ((this.blocked & NOT_NOW.uncommitted) === 0) {
      this.blocked |= NOT_NOW.uncommitted
      // Batches that only events from here could fill are handed on.
      if (this.waitsForEvents) this.task.handOut.wanted()
    }
  }

  #arrived(): void {
    if (this.task.closed) return
    if (this.tracker.passed === this.tracker.handed) this.times?.moved()
    this.blocked &= ~NOT_NOW.empty
    this.task.handOut.wake()
  }
}

/** The time of a due event is the one up to which all due events have finished. */
class DueTimes implements OriginTimes {
  readonly idle = false
  movedAtMs: number
  readonly #due: DueQueue
  readonly #clock: Pick<Clock, 'monotonic'>

  constructor(due: DueQueue, clock: Pick<Clock, 'monotonic'>) {
    this.#due = due
    this.#clock = clock
    this.movedAtMs = clock.monotonic()
  }

  moved(): void {
    this.movedAtMs = this.#clock.monotonic()
  }

  get finished(): number {
    return this.#due.time?.() ?? Infinity
  }

  stampedAt(): number {
    return this.finished
  }
}
