import { HOLDS_TAKEN } from '../environment/not-now.ts'
import type { EventOrigin } from '../task/event-origin.ts'
import type { EventInFlight } from '../task/event-in-flight.ts'

/** What a deferred event holds back: everything in the queue, later events of its key, or nothing. */
export type DeferOrder = 'all' | 'key' | 'none'

/**
 * Events that came back to a record queue. They are ready to go out again, or wait for a time or for another event.
 * Later events that must not overtake them are kept here too.
 */
export class DeferredEvents {
  readonly #order: DeferOrder
  readonly #ready: EventInFlight[] = []
  readonly #held = new Set<EventInFlight>()
  /** Events that wait because an earlier one of their key does. */
  readonly #behind = new Map<string, EventInFlight[]>()

  constructor(order: DeferOrder) {
    this.#order = order
  }

  /** Whether it has any events; the queue checks this first. */
  get any(): boolean {
    return this.#ready.length > 0 || this.#held.size > 0
  }

  /** Whether a waiting event holds back everything in the queue. */
  get holdsAll(): boolean {
    return this.#order === 'all' && this.#held.size > 0
  }

  hold(event: EventInFlight): void {
    this.#held.add(event)
    const key = this.#keyOf(event)
    if (key !== undefined && !this.#behind.has(key)) this.#behind.set(key, [])
  }

  /** Makes a waiting event ready. Returns false if it no longer waits here. */
  release(event: EventInFlight): boolean {
    if (!this.#held.delete(event)) return false
    this.putReady(event)
    const key = this.#keyOf(event)
    if (key === undefined || this.#holdsKey(key)) return true
    const behind = this.#behind.get(key) ?? []
    this.#behind.delete(key)
    for (const other of behind) this.putReady(other)
    return true
  }

  /** Makes an event ready. Ready events go out in the order in which they first came to the queue. */
  putReady(event: EventInFlight): void {
    insert(this.#ready, event)
  }

  /** Whether `takeReady` would return an event. */
  hasReady(): boolean {
    return !this.holdsAll && this.#ready.some((event) => this.#mayGo(event))
  }

  takeReady(): EventInFlight | undefined {
    if (this.holdsAll) return undefined
    for (let at = 0; at < this.#ready.length; at++) {
      const event = this.#ready[at]
      if (event === undefined || !isOpen(event)) continue
      if (this.#mayGo(event)) {
        this.#ready.splice(at, 1)
        return event
      }
      this.#ready.splice(at--, 1)
      this.#waitBehind(event)
    }
    return undefined
  }

  /** Whether a new event has to wait behind a waiting one; if so, it is kept here. */
  mustWait(event: EventInFlight): boolean {
    if (this.#mayGo(event)) return false
    this.#waitBehind(event)
    return true
  }

  /** Whether an event of this partition waits, or is queued behind a waiting event. */
  keeps(origin: EventOrigin): boolean {
    const isOfIt = (event: EventInFlight): boolean => event.origin === origin
    return [...this.#held].some(isOfIt) || [...this.#behind.values()].some((events) => events.some(isOfIt))
  }

  /** Drops events of lost tasks. */
  purge(): void {
    const lives = (event: EventInFlight): boolean => !event.origin.task.closed
    const ready = this.#ready.splice(0).filter(lives)
    const held = [...this.#held].filter(lives)
    const behind = [...this.#behind.values()].flat().filter(lives)
    this.#held.clear()
    this.#behind.clear()
    for (const event of held) this.hold(event)
    for (const event of [...ready, ...behind]) if (!this.mustWait(event)) this.putReady(event)
  }

  #mayGo(event: EventInFlight): boolean {
    if (!isOpen(event)) return false
    const key = this.#keyOf(event)
    return key === undefined || !this.#behind.has(key)
  }

  #waitBehind(event: EventInFlight): void {
    const key = this.#keyOf(event)
    const behind = key === undefined ? undefined : this.#behind.get(key)
    insert(behind ?? this.#ready, event)
  }

  #holdsKey(key: string): boolean {
    for (const event of this.#held) if (this.#keyOf(event) === key) return true
    return false
  }

  #keyOf(event: EventInFlight): string | undefined {
    return this.#order === 'key' && event.record.key !== null ? event.record.key.toString('latin1') : undefined
  }
}

/** Inserts in the order in which events first came to the queue. */
function insert(events: EventInFlight[], event: EventInFlight): void {
  let at = events.length
  while (at > 0 && (events[at - 1]?.order ?? 0) > event.order) at--
  events.splice(at, 0, event)
}

/** Whether the event's task is here and open, and its agent takes events. */
function isOpen({ origin }: EventInFlight): boolean {
  return ((origin.task.blocked | origin.blocked) & HOLDS_TAKEN) === 0
}
