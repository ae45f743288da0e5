import { MillraceError, type Scheduled } from '@millrace/core'
import type { AgentContext } from './agent-context.ts'
import { EventTimer } from './event-timer.ts'
import type { StreamEvent } from './stream-event.ts'

/** How long the events that a run of a handler has in flight may take. One timer for all of them, set for the oldest. */
export class EventTimeouts {
  readonly #context: AgentContext
  readonly #limitMs: number
  /** Events under `noAck()`, in the order in which they were handed out. */
  readonly #loose: ReadonlySet<StreamEvent>
  readonly #expired: (error: Error) => void
  /** Events of loops, in the same order. */
  readonly #current = new Set<StreamEvent>()
  #timer: Scheduled | undefined

  /** `expired` is told of the first event that took too long, by then failed with this error. */
  constructor(
    context: AgentContext,
    limitMs: number,
    inFlight: { readonly loose: ReadonlySet<StreamEvent>; readonly expired: (error: Error) => void },
  ) {
    this.#context = context
    this.#limitMs = limitMs
    this.#loose = inFlight.loose
    this.#expired = inFlight.expired
  }

  /** The handler gets an event, with which it is done when it asks for the next one. */
  begin(event: StreamEvent): void {
    this.#current.add(event)
    this.beginLoose(event)
  }

  /** The handler gets an event, with which it is done when it acks it. */
  beginLoose(event: StreamEvent): void {
    const { first } = event
    first.timer ??= new EventTimer()
    first.timer.sinceMs = this.#context.worker.clock.monotonic()
    if (this.#timer === undefined) this.#wait(this.#limitMs)
  }

  end(event: StreamEvent): void {
    this.#current.delete(event)
  }

  close(): void {
    this.#current.clear()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Runs outside the handler's context, because the timer belongs to no event. */
  #wait(forMs: number): void {
    const { storage, worker } = this.#context
    this.#timer = storage.exit(() => worker.clock.schedule(forMs, () => this.#look()))
  }

  #look(): void {
    this.#timer = undefined
    const oldest = [...this.#oldestOf(this.#current), ...this.#oldestOf(this.#loose)]
    for (const event of oldest.toSorted((a, b) => sinceMs(a) - sinceMs(b))) {
      const leftMs = this.#limitMs - this.#context.worker.clock.elapsedSince(sinceMs(event))
      if (leftMs > 0) return this.#wait(leftMs)
      const error = this.#timeout(event)
      event.timeOut(error)
      this.close()
      return this.#expired(error)
    }
  }

  /** The first one, if any. What is acked, lost or given back takes no more time. */
  #oldestOf(events: ReadonlySet<StreamEvent>): readonly StreamEvent[] {
    for (const event of events) if (event.open) return [event]
    return []
  }

  #timeout({ topic, partition, offset, agent }: StreamEvent): MillraceError {
    return new MillraceError(
      'EVENT_TIMEOUT',
      `Agent "${agent}" has not finished ${topic}/${partition} at offset ${offset} within its timeout of ${this.#limitMs} ms.`,
    )
  }
}

/** When the handler got it, on the monotonic clock. */
function sinceMs({ first }: StreamEvent): number {
  return first.timer?.sinceMs ?? 0
}
