import type { RawHeaders, ScopeStorage, WorkerContext } from '@millrace/core'
import type { EventTarget } from '../topics/value-target.ts'
import { AgentScope } from './agent-scope.ts'
import type { Delivery } from './delivery.ts'
import { headerText } from './header-text.ts'

/** Where an event is at work. */
export interface EventHost {
  readonly storage: ScopeStorage
  readonly worker: WorkerContext
  readonly agent: string
}

/**
 * A decoded record in hand, as `stream.events()` yields it. It is acked when the next one is asked for, as values are.
 *
 * @example
 * for await (const event of stream.events()) {
 *   if (event.headers.kind === 'test') await event.forward(tests)
 * }
 */
export class Event<K, V> {
  /** As the operators before `events()` have left it. */
  readonly value: V
  readonly #delivery: Delivery
  readonly #changed: boolean
  readonly #part: number
  readonly #host: EventHost
  #headers: Readonly<Record<string, string>> | undefined

  constructor(host: EventHost, delivery: Delivery, { value, changed }: Pick<Delivery, 'value' | 'changed'> = delivery) {
    this.#host = host
    this.#delivery = delivery
    this.#part = delivery.part
    this.value = value as V
    this.#changed = changed
  }

  /** With the value of its record, whatever steps have made of it meanwhile. */
  static asItCame<K, V>(host: EventHost, delivery: Delivery): Event<K, V> {
    return new Event(host, delivery, { value: delivery.cameAs, changed: false })
  }

  /** @throws `DECODE_FAILED`, also where a key was declared and the record has none */
  get key(): K {
    return this.#delivery.key() as K
  }

  /** Headers as UTF-8 text; the last of a name wins. */
  get headers(): Readonly<Record<string, string>> {
    return (this.#headers ??= headerText(this.#delivery.rawHeaders))
  }

  /** Headers as they are in the record. */
  get rawHeaders(): RawHeaders {
    return this.#delivery.rawHeaders
  }

  /** Milliseconds since the epoch, as the producer set it. */
  get timestamp(): number {
    return this.#delivery.timestamp
  }

  /** The topic's name, or the channel's. */
  get topic(): string {
    return this.#delivery.topic
  }

  get partition(): number {
    return this.#delivery.partition
  }

  get offset(): number {
    return this.#delivery.offset
  }

  /** Aborts when the event's partition is lost or the worker stops hard. */
  get signal(): AbortSignal {
    return this.#delivery.signal
  }

  /**
   * Sends the event on as an effect of itself: the bytes of key and headers, and the timestamp, stay as they are; so do
   * those of the value unless an operator has changed it. Forwarding to a channel resolves when there is room.
   */
  async forward(target: EventTarget): Promise<void> {
    await target.forwardFrom({ delivery: this.#delivery, value: this.value, changed: this.#changed })
  }

  /**
   * Finishes the event now. Later writes and sends on its behalf throw `NO_CURRENT_EVENT`. In a batch: the whole batch.
   * Behind `flatMap`: this value; the event is finished with its last one.
   */
  ack(): void {
    this.#delivery.ack(this.#part)
  }

  /**
   * Runs `fn` with this event as the one in hand, for work under `noAck()`. An error of `fn` that the handler does not
   * catch counts against this event.
   */
  async run<R>(fn: () => R | Promise<R>): Promise<R> {
    const { storage, worker, agent } = this.#host
    try {
      return await storage.run(new AgentScope(worker, agent, this.#delivery), fn)
    } catch (error) {
      this.#delivery.failure = error
      throw error
    }
  }
}
