import type { RawHeaders } from '@millrace/core'
import { headerText } from './headers.ts'
import type { InFlight } from './in-flight.ts'
import { eventId, withoutReplayMark } from './replay-mark.ts'
import type { EventTarget } from './targets.ts'

/**
 * A decoded record that an agent has not finished yet, as `stream.events()` yields it. It is acked when the next one is
 * asked for, as values are.
 *
 * @example
 * for await (const event of stream.events()) {
 *   if (event.headers.kind === 'test') await event.forward(tests)
 * }
 */
export abstract class Event<K, V> {
  /** The value as left by the operators before `events()`. */
  abstract readonly value: V
  protected abstract readonly inFlight: InFlight
  #headers: Readonly<Record<string, string>> | undefined = undefined

  /** @throws `DECODE_FAILED`, also if a key was declared and the record has none */
  abstract get key(): K

  /** Headers as UTF-8 text; the last one of a name counts. */
  get headers(): Readonly<Record<string, string>> {
    return (this.#headers ??= headerText(this.rawHeaders))
  }

  /** Headers as in the record. */
  get rawHeaders(): RawHeaders {
    return withoutReplayMark(this.inFlight.record.headers)
  }

  /**
   * The same text for every attempt at this event, by whichever worker, and for its replay as a dead letter: an
   * idempotency key for effects outside Kafka. All agents that read the record see the same id, so an agent whose effect
   * is not that of the others puts its own name in front. Messages of a channel have an id of their worker's, which
   * means nothing after a restart.
   *
   * @example
   * await fetch(charges, { method: 'POST', headers: { 'idempotency-key': event.id }, body, signal: event.signal })
   */
  get id(): string {
    return eventId(this, this.inFlight.record.headers)
  }

  /** Milliseconds since the epoch, as the producer set it. */
  get timestamp(): number {
    return this.inFlight.timestamp
  }

  /** The topic's name, or the channel's. */
  get topic(): string {
    return this.inFlight.topic
  }

  get partition(): number {
    return this.inFlight.partition
  }

  get offset(): number {
    return this.inFlight.offset
  }

  /** Aborts when the event's partition is lost, its agent's `timeout` is over, or the worker stops hard. */
  get signal(): AbortSignal {
    return this.inFlight.signal
  }

  /**
   * Sends the event on as an effect of itself, with the same bytes of key and headers and the same timestamp; the bytes
   * of the value are the same too unless an operator has changed it. Forwarding to a channel resolves when there is
   * room.
   */
  abstract forward(target: EventTarget): Promise<void>

  /**
   * Finishes the event now. Later writes and sends for it throw `NO_CURRENT_EVENT`. In a batch it finishes the whole
   * batch. After `flatMap` it finishes this value, and the event with its last value.
   */
  abstract ack(): void

  /**
   * Runs `fn` with this event as the current one, for work under `noAck()`. An error of `fn` that the handler does not
   * catch counts against this event.
   */
  abstract run<R>(fn: () => R | Promise<R>): Promise<R>
}
