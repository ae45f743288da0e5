import { deferred, MillraceError } from '@millrace/core'
import type { ProcessingContext } from '@millrace/worker'
import type { ErrorHandling } from '../errors/error-handling.ts'
import { BetweenEvents } from '../events/between-events.ts'
import { EventTimeouts } from '../events/event-timeouts.ts'
import type { Wakeup } from '../events/source.ts'
import type { StreamEvent } from '../events/stream-event.ts'

/** The loops of one run of a handler, and the events that they have handed out. */
export class Loops {
  /** The context of the handler's code. */
  current: ProcessingContext
  /** Set if there are several loops. */
  turns: LoopTurns | undefined = undefined
  /** The run hands out no more events. */
  ended = false
  /** Handed out under `noAck()`. */
  readonly loose: Set<StreamEvent> = new Set<StreamEvent>()
  /** Of the events in flight; `undefined` if they may take any time. */
  readonly timeouts: EventTimeouts | undefined
  /** Rejects with the error of the first event that took too long. */
  readonly timedOut: Promise<never>
  readonly #errors: ErrorHandling
  /** Events that were in flight when their loop was left, and the loop's turn. */
  readonly #left: { readonly event: StreamEvent; readonly loop: Wakeup }[] = []

  constructor(errors: ErrorHandling) {
    this.#errors = errors
    const { promise, reject } = deferred<never>()
    // The run is awaited together with it, unless it is over before.
    promise.catch(() => {})
    this.timedOut = promise
    const { context } = errors
    this.timeouts =
      context.timeoutMs === undefined
        ? undefined
        : new EventTimeouts(context, context.timeoutMs, { loose: this.loose, expired: reject })
    this.current = new BetweenEvents(errors.context)
  }

  /** Whether hand-out is over: the run has ended, or the worker has failed. */
  get over(): boolean {
    return this.ended || this.#errors.stopped
  }

  /** Events whose loop was left; whether by a `break` or by an error shows later. */
  get left(): readonly StreamEvent[] {
    return this.#left.map(({ event }) => event)
  }

  leave(event: StreamEvent, loop: Wakeup): void {
    this.#left.push({ event, loop })
  }

  /** Adds an event that only `ack()` finishes. */
  addLoose(event: StreamEvent): void {
    const { first } = event
    first.loose = this.loose
    this.loose.add(first)
    this.timeouts?.beginLoose(first)
  }

  /** A loop asks for its next event, so the loops that were left before were left on purpose. */
  asked(): void {
    if (this.#left.length === 0) return
    for (const { event, loop } of this.#left.splice(0)) {
      this.#passed(event)
      this.turns?.end(loop)
    }
  }

  #passed(event: StreamEvent): void {
    if (!event.isPartial) return event.finish()
    const { topic, partition, offset, agent } = event
    event.requeue()
    this.#errors.stop(
      new MillraceError(
        'DEFINITION_INVALID',
        `Agent "${agent}" left its loop while ${topic}/${partition} at offset ${offset} had more values to give from flatMap(), and began another loop: take all values of an event in one loop, or what is left of them would be lost.`,
      ),
    )
  }
}

/**
 * The loops of one handler take turns, each identified by its wake-up: whatever their number, one event at a time is in
 * flight, as in a handler with one loop. The loop that has waited longest is next.
 */
export class LoopTurns {
  #holder: Wakeup | undefined
  readonly #waiting = new Set<Wakeup>()

  /** Whether the loop has the turn, now or already; if not, it is woken when it gets it. */
  take(loop: Wakeup): boolean {
    this.#holder ??= loop
    if (this.#holder === loop) return true
    this.#waiting.add(loop)
    return false
  }

  /** Whether the loop is woken when it gets the turn. */
  isWaiting(loop: Wakeup): boolean {
    return this.#waiting.has(loop)
  }

  /** The loop has no event, and none on its way. */
  end(loop: Wakeup): void {
    if (this.#holder !== loop) return
    this.#holder = undefined
    // Checked first, because there is mostly one loop, and taking the first item of a set costs time for each event.
    if (this.#waiting.size > 0) this.#wakeNext()
  }

  #wakeNext(): void {
    const [next] = this.#waiting
    this.#holder = next
    if (next === undefined) return
    this.#waiting.delete(next)
    next.wake()
  }

  /** The run is over: all waiting loops may notice. */
  close(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const loop of waiting) loop.wake()
  }
}
