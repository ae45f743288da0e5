import { type Clock, type Deferred, deferred } from '@millrace/core'
import type { SubscriptionQueue } from '../contracts/event.ts'
import type { HandOut } from '../environment/hand-out.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import type { EventOrigin } from '../task/event-origin.ts'
import type { EventInFlight, EventQueue } from '../task/event-in-flight.ts'
import { DeferredEvents, type DeferOrder } from './deferred-events.ts'

/** Gives new events to the record queues of a subscription, from the partitions that are here. */
export interface Dispatcher {
  /** Returns the next event of this queue. */
  next(queue: RecordQueue): EventInFlight | undefined
  /** Whether `next` may return one. */
  hasNext(queue: RecordQueue): boolean
  /** While true, no new event goes out, because an earlier one must go out or end first. */
  defer(on: boolean): void
  /** Whether records of this partition are available but no eligible instance is waiting, as `queues` tell. */
  waitsForInstance(origin: EventOrigin, queues: readonly RecordQueue[]): boolean
}

export interface RecordQueueOptions {
  readonly index: number
  readonly clock: Clock
  readonly handOut: HandOut
  readonly dispatcher: Dispatcher
  readonly order: DeferOrder
}

const NOW: Promise<void> = Promise.resolve()

/** How many events are remembered as possible causes of a long time without a turn of the event loop. */
const MOST_RECENT = 16

/** Events for one instance of an agent. */
export class RecordQueue implements SubscriptionQueue, EventQueue {
  readonly index: number
  onDrain: () => void = () => {}
  onWanted: () => void = () => {}
  readonly #clock: Clock
  readonly #handOut: HandOut
  readonly #dispatcher: Dispatcher
  readonly #deferred: DeferredEvents
  #waiter: Deferred<void> | undefined = undefined
  /** Events handed out since the last check of the event loop; if there were none, those handed out before it. */
  readonly #recent: EventInFlight[] = []
  #recentCount = 0
  /** The number of event loop checks when the last of them was handed out. */
  #checks = 0
  #run = 0

  constructor({ index, clock, handOut, dispatcher, order }: RecordQueueOptions) {
    this.index = index
    this.#clock = clock
    this.#handOut = handOut
    this.#dispatcher = dispatcher
    this.#deferred = new DeferredEvents(order)
  }

  get closed(): boolean {
    return (this.#handOut.blocked & NOT_NOW.closed) !== 0
  }

  /** Whether its agent waits for an event. */
  get isWaiting(): boolean {
    return this.#waiter !== undefined
  }

  /** Whether there is an event for its agent, apart from reasons of the whole worker. */
  get hasNext(): boolean {
    return this.#deferred.hasReady() || this.#dispatcher.hasNext(this)
  }

  take(): EventInFlight | undefined {
    if (this.#handOut.blocked !== 0) return undefined
    if (this.#deferred.any) return this.#takeBesideDeferred()
    const event = this.#dispatcher.next(this)
    if (event === undefined) return undefined
    event.origin.counters.received++
    return event.origin.refusals === undefined ? this.#give(event) : this.#giveCarefully(event)
  }

  /** Whether an event of this partition has to wait for another one. */
  keeps(origin: EventOrigin): boolean {
    return this.#deferred.keeps(origin)
  }

  /** The event on which its agent works while it asks for no other. */
  get atWork(): EventInFlight | undefined {
    const last = this.isWaiting ? undefined : this.#recent[this.#recentCount - 1]
    return last?.open === true ? last : undefined
  }

  /** Events that may have been handled since the last check of the event loop, without having yielded before. */
  handled(): readonly EventInFlight[] {
    const { checks, runs } = this.#handOut.watch
    if (this.#run !== runs) return []
    const recent = this.#recent.slice(0, this.#recentCount)
    // The last check came between two events, so an event that is not finished may only be handled now.
    return this.#checks === checks ? recent : recent.filter((event) => event.open)
  }

  /** The events in flight that were handed out last. */
  inFlight(): readonly EventInFlight[] {
    return this.#recent.slice(0, this.#recentCount).filter((event) => event.open)
  }

  handedOn(event: EventInFlight): void {
    const { watch } = this.#handOut
    watch.handedOut()
    if (this.#checks === watch.checks && this.#recentCount === MOST_RECENT) watch.check()
    if (this.#checks !== watch.checks) {
      this.#checks = watch.checks
      this.#run = watch.runs
      this.#recentCount = 0
    }
    this.#recent[this.#recentCount++] = event
  }

  ready(): Promise<void> {
    if (this.#mayTake()) return NOW
    this.#waiter ??= deferred<void>()
    return this.#waiter.promise
  }

  /** Lets the agent take an event, if one may be available. */
  wake(): void {
    if (this.#waiter === undefined || !this.#mayTake()) return
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter.resolve()
  }

  wanted(): void {
    this.onWanted()
  }

  requeue(event: EventInFlight, delayMs: number): void {
    if (delayMs <= 0) {
      this.#deferred.putReady(event)
      this.wake()
      return
    }
    this.defer(event)
    this.#clock.schedule(delayMs, () => this.release(event))
  }

  defer(event: EventInFlight): void {
    this.#deferred.hold(event)
    this.settle()
  }

  release(event: EventInFlight): void {
    if (!this.#deferred.release(event)) return
    this.settle()
    this.wake()
  }

  /** Called when tasks were lost. */
  purge(): void {
    this.#deferred.purge()
    this.settle()
    this.wake()
  }

  /** Holds back new events while a deferred one must go first. */
  settle(): void {
    this.#dispatcher.defer(this.#deferred.holdsAll)
  }

  /** Whether `take` may return an event now, or the queue is closed. */
  #mayTake(): boolean {
    return this.closed || (this.#handOut.blocked === 0 && this.hasNext)
  }

  #takeBesideDeferred(): EventInFlight | undefined {
    const ready = this.#deferred.takeReady()
    if (ready !== undefined) return this.#giveCarefully(ready)
    if (this.#deferred.holdsAll) return undefined
    for (;;) {
      const event = this.#dispatcher.next(this)
      if (event === undefined) return undefined
      event.origin.counters.received++
      if (!this.#deferred.mustWait(event)) return this.#giveCarefully(event)
    }
  }

  /** An event that may block the event loop goes out alone, so that a block can be traced to it. */
  #giveCarefully(event: EventInFlight): EventInFlight | undefined {
    if (!event.mayBlock) return this.#give(event)
    if (this.#handOut.alone(this)) {
      this.#handOut.watch.follow(event)
      return this.#give(event)
    }
    this.#deferred.putReady(event)
    return undefined
  }

  #give(event: EventInFlight): EventInFlight {
    const { counters, task } = event.origin
    counters.active++
    task.entered()
    this.handedOn(event)
    return event
  }
}
