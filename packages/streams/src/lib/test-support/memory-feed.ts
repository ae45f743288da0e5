import { type Clock, type Deferred, deferred, type EventFeed, type EventInHand } from '@millrace/core'
import { MemoryEvent } from './memory-event.ts'

/** Events of one instance, in the order they were put. */
export class MemoryFeed implements EventFeed {
  closed = false
  /** Handed out and not over. */
  inHand = 0
  readonly #events: MemoryEvent[] = []
  readonly #clock: Clock
  #head = 0
  #paused = false
  #waiter: Deferred<void> | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get waiting(): number {
    return this.#events.length - this.#head
  }

  put(event: MemoryEvent): void {
    this.#events.push(event)
    this.#wake()
  }

  again(event: MemoryEvent, delayMs: number, attempts: number): void {
    this.inHand--
    this.#events.splice(this.#head, 0, new MemoryEvent(event.home, event.record, attempts))
    if (delayMs <= 0) return this.#wake()
    this.#paused = true
    this.#clock.schedule(delayMs, () => {
      this.#paused = false
      this.#wake()
    })
  }

  take(): EventInHand | undefined {
    const event = this.closed || this.#paused ? undefined : this.#events[this.#head]
    if (event === undefined) return undefined
    this.#head++
    this.inHand++
    return event
  }

  async ready(): Promise<void> {
    if (this.closed || (this.waiting > 0 && !this.#paused)) return
    if (this.#waiter !== undefined) throw new Error('ready() was called twice.')
    this.#waiter = deferred<void>()
    await this.#waiter.promise
  }

  close(): void {
    this.closed = true
    this.#wake()
  }

  #wake(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.resolve()
  }
}
