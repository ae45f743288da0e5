import type { Event } from '../events/event.ts'
import type { Sink } from '../events/targets.ts'
import {
  echoStep,
  enumerateStep,
  EventsStep,
  filterStep,
  flatMapStep,
  itemsStep,
  mapStep,
  noAckStep,
  tapStep,
  type ValuesOf,
} from './steps.ts'
import type { Stream } from './stream.ts'
import type { StreamStep } from './stream-step.ts'

/** The operators of a stream that work on one event at a time: they need no topic of their own, and keep no state. */
export abstract class StatelessStream<K, V> implements AsyncIterable<V> {
  abstract [Symbol.asyncIterator](): AsyncIterator<V, undefined>

  /** Name of the agent, for messages. */
  protected abstract readonly agent: string

  /** The stream with a further step. */
  protected abstract with<U>(step: StreamStep): Stream<K, U>

  /** Events rather than values, for keys, headers, timestamps and forwarding. */
  events(): Stream<K, Event<K, V>> {
    return this.with(new EventsStep())
  }

  /** Pairs of key and value. */
  items(): Stream<K, [key: K, value: V]> {
    return this.with(itemsStep())
  }

  /** Only values that pass; the others are acked at once. */
  filter<W extends V>(fn: (value: V) => value is W): Stream<K, W>
  filter(fn: (value: V) => boolean | Promise<boolean>): Stream<K, V>
  filter(fn: (value: V) => boolean | Promise<boolean>): Stream<K, V> {
    return this.with(filterStep(fn))
  }

  /** Each value changed by `fn`. */
  map<U>(fn: (value: V) => U | Promise<U>): Stream<K, U> {
    return this.with(mapStep(fn))
  }

  /**
   * Each value replaced by those that `fn` gives for it: a list, a set, a generator, asynchronous or not, perhaps empty. Values
   * are taken one at a time; a generator is closed when they are not all taken. An event with several is finished with the last of
   * them, and when one fails all are handled again.
   *
   * @throws `DEFINITION_INVALID`, as the failure of the event, when `fn` gives no list
   * @example
   * for await (const word of posts.flatMap((post) => post.split(' '))) counts.update(word, (n) => n + 1)
   *
   * @example
   * for await (const item of orders.flatMap(async function* (order) {
   *   for await (const page of catalogue.pages(order.sku)) yield* page.items
   * })) …
   */
  flatMap<U>(fn: (value: V) => ValuesOf<U> | Promise<ValuesOf<U>>): Stream<K, U> {
    return this.with(flatMapStep(fn, this.agent))
  }

  /** Calls `fn` with each value, which stays as it is; what `fn` gives is awaited. */
  tap(fn: (value: V) => unknown): Stream<K, V> {
    return this.with(tapStep(fn))
  }

  /** Pairs of a running number and the value. Numbers are those of one instance, since its handler was started. */
  enumerate(start = 0): Stream<K, [number: number, value: V]> {
    return this.with(enumerateStep(start))
  }

  /** Passes each value on to topics, agents, channels or functions, as an effect of its event, and goes on with it. */
  echo(...sinks: readonly Sink<V>[]): Stream<K, V> {
    return this.with(echoStep(sinks))
  }

  /**
   * Passes each value on to topics, agents, channels or functions, as `echo` does, and is the end of the stream: the whole
   * handler of an agent that has no more to do. Resolves when the worker stops.
   *
   * @example
   * app.agent('shout', posts, (posts) => posts.map((post) => post.toUpperCase()).to(loud))
   */
  async to(...sinks: readonly Sink<V>[]): Promise<void> {
    for await (const _ of this.echo(...sinks));
  }

  /**
   * Calls `fn` with each value, in its event, and waits for it: a loop in one call. When `fn` fails, the event is tried
   * again as `onError` says. Resolves when the worker stops.
   *
   * @example
   * app.agent('count', words, (words) => words.forEach((word) => void counts.update(word, (n) => n + 1)))
   */
  async forEach(fn: (value: V) => unknown): Promise<void> {
    for await (const value of this) await fn(value)
  }

  /**
   * Events are not acked when the next one is asked for, but by `event.ack()`: for work on many events at once. Use it
   * with `events()`, and `event.run(fn)` for writes and sends.
   */
  noAck(): Stream<K, V> {
    return this.with(noAckStep())
  }
}
