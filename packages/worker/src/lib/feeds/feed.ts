import { type Clock, type Deferred, deferred, type EventFeed } from '@millrace/core'
import type { Event, EventHome } from './event.ts'
import { BLOCKED_BY, type HandOutGate } from './hand-out-gate.ts'
import { HeldEvents, type HoldScope } from './held-events.ts'

/** Where the feeds of a subscription get new events from. */
export interface FeedSupply {
  /** The next event of the feed with this index. Its slot names `home` and takes an `order` from it. */
  next(feed: Feed): Event | undefined
  /** Whether `next` may give one. */
  hasNext(feed: Feed): boolean
}

export interface FeedDeps {
  readonly index: number
  readonly clock: Clock
  readonly gate: HandOutGate
  readonly supply: FeedSupply
  readonly scope: HoldScope
}

const NOW: Promise<void> = Promise.resolve()

/** Of a long stretch without a turn of the event loop, one of so many events at most was the cause. */
const MOST_RECENT = 16

/** Events for one instance of an agent. */
export class Feed implements EventFeed, EventHome {
  readonly index: number
  onDrain: () => void = () => {}
  onWanted: () => void = () => {}
  readonly #clock: Clock
  readonly #gate: HandOutGate
  readonly #supply: FeedSupply
  readonly #held: HeldEvents
  #waiter: Deferred<void> | undefined = undefined
  #closed = false
  /** Handed out since the last look at the clock, and before that when there were none since. */
  readonly #recent: Event[] = []
  #recentCount = 0
  #looks = 0
  #isCareful = false

  constructor({ index, clock, gate, supply, scope }: FeedDeps) {
    this.index = index
    this.#clock = clock
    this.#gate = gate
    this.#supply = supply
    this.#held = new HeldEvents(scope)
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Whether its agent waits for an event. */
  get isWaiting(): boolean {
    return this.#waiter !== undefined
  }

  /** Whether `take` may give an event now. */
  get available(): boolean {
    return this.#gate.blocked === 0 && this.hasWork
  }

  /** Whether there is an event for its agent, handed out just now or not. */
  get hasWork(): boolean {
    if (this.#closed || this.#held.blocksFeed) return false
    return this.#held.hasReady() || this.#supply.hasNext(this)
  }

  get draining(): boolean {
    return (this.#gate.blocked & (BLOCKED_BY.rebalance | BLOCKED_BY.stop)) !== 0
  }

  wanted(): void {
    this.onWanted()
  }

  /** For a new event of this feed. */
  nextOrder(): number {
    return this.#gate.nextOrder()
  }

  take(): Event | undefined {
    if (this.#gate.blocked !== 0 || this.#closed) return undefined
    if (this.#held.any) return this.#takeBesideHeld()
    const event = this.#supply.next(this)
    if (event === undefined) return undefined
    event.cursor.place.counters.received++
    return this.#handOut(event)
  }

  /** Events that were being handled in the time since the last look at the clock, or may have been. */
  sinceLook(): readonly Event[] {
    const recent = this.#recent.slice(0, this.#recentCount)
    return this.#looks === this.#gate.watch.looks ? recent : recent.filter((event) => event.open)
  }

  ready(): Promise<void> {
    if (this.#closed || this.available) return NOW
    this.#waiter ??= deferred<void>()
    return this.#waiter.promise
  }

  /** Something may have come. */
  wake(): void {
    if (this.#waiter === undefined || !(this.#closed || this.available)) return
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter.resolve()
  }

  close(): void {
    this.#closed = true
    this.wake()
  }

  again(event: Event, delayMs: number): void {
    if (delayMs <= 0) {
      this.#held.putReady(event)
      this.wake()
      return
    }
    this.#held.hold(event)
    this.#clock.schedule(delayMs, () => this.release(event))
  }

  after(event: Event): void {
    this.#held.hold(event)
  }

  release(event: Event): void {
    if (this.#held.release(event)) this.wake()
  }

  /** Tasks were lost. */
  purge(): void {
    this.#held.purge()
    this.wake()
  }

  #takeBesideHeld(): Event | undefined {
    const ready = this.#held.takeReady()
    if (ready !== undefined) return this.#handOut(ready)
    if (this.#held.blocksFeed) return undefined
    for (;;) {
      const event = this.#supply.next(this)
      if (event === undefined) return undefined
      event.cursor.place.counters.received++
      if (!this.#held.mustWait(event)) return this.#handOut(event)
    }
  }

  #handOut(event: Event): Event {
    const { place, task } = event.cursor
    place.counters.active++
    task.entered()
    const { watch } = this.#gate
    // Looking costs more than some handlers: each time only where one of few is suspected to be the cause of a block.
    const isCareful = place.refusals !== undefined
    if (this.#looks === watch.looks && (this.#recentCount === MOST_RECENT || this.#isCareful || isCareful)) watch.look()
    if (this.#looks !== watch.looks) {
      this.#looks = watch.looks
      this.#recentCount = 0
    }
    this.#isCareful = isCareful
    this.#recent[this.#recentCount++] = event
    return event
  }
}
