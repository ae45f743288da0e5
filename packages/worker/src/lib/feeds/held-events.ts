import type { Event } from './event.ts'

/** What else waits while an event does: everything of the feed, later events of its key, or nothing. */
export type HoldScope = 'feed' | 'key' | 'event'

/**
 * Events that came back to a feed: ready to go out again, or waiting for a time or for another event. Later events that
 * must not overtake them wait behind.
 */
export class HeldEvents {
  readonly #scope: HoldScope
  readonly #ready: Event[] = []
  readonly #held = new Set<Event>()
  /** Events that came to a key on hold. */
  readonly #behind = new Map<string, Event[]>()

  constructor(scope: HoldScope) {
    this.#scope = scope
  }

  /** False as long as nothing ever came back: then a feed need not ask. */
  get any(): boolean {
    return this.#ready.length > 0 || this.#held.size > 0
  }

  /** No event of the feed may go out. */
  get blocksFeed(): boolean {
    return this.#scope === 'feed' && this.#held.size > 0
  }

  hold(event: Event): void {
    this.#held.add(event)
    const key = this.#keyOf(event)
    if (key !== undefined && !this.#behind.has(key)) this.#behind.set(key, [])
  }

  /** False when it is not waiting here any more. */
  release(event: Event): boolean {
    if (!this.#held.delete(event)) return false
    this.putReady(event)
    const key = this.#keyOf(event)
    if (key === undefined || this.#holdsKey(key)) return true
    const behind = this.#behind.get(key) ?? []
    this.#behind.delete(key)
    for (const other of behind) this.putReady(other)
    return true
  }

  /** Goes out before all that came to the feed after it. */
  putReady(event: Event): void {
    let at = this.#ready.length
    while (at > 0 && (this.#ready[at - 1]?.order ?? 0) > event.order) at--
    this.#ready.splice(at, 0, event)
  }

  /** Whether `takeReady` would give one. */
  hasReady(): boolean {
    return !this.blocksFeed && this.#ready.some((event) => this.#mayGo(event))
  }

  takeReady(): Event | undefined {
    if (this.blocksFeed) return undefined
    for (let at = 0; at < this.#ready.length; at++) {
      const event = this.#ready[at]
      if (event === undefined || event.cursor.task.held) continue
      if (this.#mayGo(event)) {
        this.#ready.splice(at, 1)
        return event
      }
      this.#ready.splice(at--, 1)
      this.#waitBehind(event)
    }
    return undefined
  }

  /** Whether a new event has to wait behind one on hold; if so it is kept here. */
  mustWait(event: Event): boolean {
    if (this.#mayGo(event)) return false
    this.#waitBehind(event)
    return true
  }

  /** Forgets events of lost tasks. */
  purge(): void {
    const lives = (event: Event): boolean => !event.cursor.task.closed
    const ready = this.#ready.splice(0).filter(lives)
    const held = [...this.#held].filter(lives)
    const behind = [...this.#behind.values()].flat().filter(lives)
    this.#held.clear()
    this.#behind.clear()
    for (const event of held) this.hold(event)
    for (const event of [...ready, ...behind]) if (!this.mustWait(event)) this.putReady(event)
  }

  #mayGo(event: Event): boolean {
    if (event.cursor.task.held) return false
    const key = this.#keyOf(event)
    return key === undefined || !this.#behind.has(key)
  }

  #waitBehind(event: Event): void {
    const key = this.#keyOf(event)
    const behind = key === undefined ? undefined : this.#behind.get(key)
    if (behind === undefined) return this.putReady(event)
    let at = behind.length
    while (at > 0 && (behind[at - 1]?.order ?? 0) > event.order) at--
    behind.splice(at, 0, event)
  }

  #holdsKey(key: string): boolean {
    for (const event of this.#held) if (this.#keyOf(event) === key) return true
    return false
  }

  #keyOf(event: Event): string | undefined {
    return this.#scope === 'key' && event.record.key !== null ? event.record.key.toString('latin1') : undefined
  }
}
