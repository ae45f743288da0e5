import {
  checkOptions,
  type CodecSpec,
  type Duration,
  type InputOf,
  MillraceError,
  type OptionNames,
  type OutputOf,
  parseDuration,
} from '@millrace/core'
import type { Channel } from '../channels/channel.ts'
import type { Event, EventHost } from '../events/event.ts'
import type { AnyTopic, Topic } from '../topics/topic.ts'
import type { Sink } from '../topics/value-target.ts'
import type { EventReader } from './event-reader.ts'
import type { Branch } from './reader-host.ts'
import { GatherStep } from './gather-step.ts'
import type { Inlet } from './inlet.ts'
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
} from './plain-steps.ts'
import type { GroupSpec } from './repartition-step.ts'
import type { Step } from './step.ts'
import { StreamIterator } from './stream-iterator.ts'

/** What a stream needs of the run of the handler that it was made for. */
export interface StreamHost extends EventHost {
  /** A reader for the user's loop. */
  read(branches: readonly Branch[]): EventReader
  /** The user has left the loop of this reader. */
  left(reader: EventReader): void
  /** Another source of the agent. */
  inlet(source: AnyTopic | Channel<never>): Inlet
  /** Sends everything through a repartition topic. */
  regroup(branches: readonly Branch[], spec: GroupSpec): Inlet
  /** Sends everything through a topic of the user's. */
  sendThrough(branches: readonly Branch[], topic: AnyTopic): Inlet
}

/** What can be merged into a stream. */
export type Mergeable = Stream<unknown, unknown> | AnyTopic | Channel<never>

/** What reading it gives. */
export type KeyIn<M> =
  M extends Stream<infer K, infer _V> ? K : M extends Topic<infer K, infer _V, infer _KI, infer _VI> ? K : string | null
export type ValueIn<M> =
  M extends Stream<infer _K, infer V>
    ? V
    : M extends Topic<infer _K, infer V, infer _KI, infer _VI>
      ? V
      : M extends Channel<infer T>
        ? T
        : never

/** What the compiler says when events are sent on as if they were values. */
export interface EventsAreNoValues {
  readonly 'call groupBy or through before events(): an event cannot be sent on as the value of a record': never
}

/** `this` of the steps that send values on: anything but events. */
export type SendsValues<V> = 0 extends 1 & V
  ? unknown
  : [V] extends [never]
    ? unknown
    : [V] extends [Event<infer _K, infer _V> | readonly Event<infer _K, infer _V>[]]
      ? EventsAreNoValues
      : unknown

export interface TakeOptions {
  /** Longest time from the first event of a batch to its hand-out. Default: until it is full. */
  readonly within?: Duration | undefined
}

export interface GroupByOptions<KS extends CodecSpec = CodecSpec> {
  /** Part of the repartition topic's name: needed where an agent groups more than once. Default `'group-by'`. */
  readonly name?: string | undefined
  /** How the new keys are encoded. Default `'string'`. */
  readonly key?: KS
  /** How values are encoded that a step before has changed. Default `'json'`. */
  readonly value?: CodecSpec | undefined
  /** Partitions of the repartition topic. Default: those of the source. */
  readonly partitions?: number | undefined
}

/**
 * The events of an agent: read with `for await`, shaped with operators. Each operator gives a new stream over the same
 * events; read one of them. Key, headers and timestamp of an event survive every operator.
 *
 * An event is acked when the next one is asked for: until then everything done for it can be undone.
 *
 * @example
 * app.agent('shout', posts, async (posts) => {
 *   for await (const post of posts.filter((post) => post !== '').map((post) => post.toUpperCase())) console.log(post)
 * })
 */
export class Stream<K, V> implements AsyncIterable<V> {
  readonly #host: StreamHost
  readonly #branches: readonly Branch[]

  constructor(host: StreamHost, branches: readonly Branch[]) {
    this.#host = host
    this.#branches = branches
  }

  [Symbol.asyncIterator](): AsyncIterator<V, undefined> {
    const reader = this.#host.read(this.#branches)
    return new StreamIterator<V>(reader, () => this.#host.left(reader))
  }

  /** Events rather than values, for keys, headers, timestamps and forwarding. */
  events(): Stream<K, Event<K, V>> {
    return this.#with(new EventsStep(this.#host))
  }

  /** Pairs of key and value. */
  items(): Stream<K, [key: K, value: V]> {
    return this.#with(itemsStep())
  }

  /** Only values that pass; the others are acked at once. */
  filter<W extends V>(fn: (value: V) => value is W): Stream<K, W>
  filter(fn: (value: V) => boolean | Promise<boolean>): Stream<K, V>
  filter(fn: (value: V) => boolean | Promise<boolean>): Stream<K, V> {
    return this.#with(filterStep(fn))
  }

  /** Each value changed by `fn`. */
  map<U>(fn: (value: V) => U | Promise<U>): Stream<K, U> {
    return this.#with(mapStep(fn))
  }

  /**
   * Each value replaced by those that `fn` gives for it: a list, a set or a generator, perhaps empty. An event with several
   * is finished with the last of them, and when one fails all are handled again.
   *
   * @throws `DEFINITION_INVALID`, as the failure of the event, when `fn` gives no list
   * @example
   * for await (const word of posts.flatMap((post) => post.split(' '))) counts.update(word, (n) => n + 1)
   */
  flatMap<U>(fn: (value: V) => ValuesOf<U> | Promise<ValuesOf<U>>): Stream<K, U> {
    return this.#with(flatMapStep(fn, this.#host.agent))
  }

  /** Calls `fn` with each value, which stays as it is; what `fn` gives is awaited. */
  tap(fn: (value: V) => unknown): Stream<K, V> {
    return this.#with(tapStep(fn))
  }

  /** Pairs of a running number and the value. Numbers are those of one instance, since its handler was started. */
  enumerate(start = 0): Stream<K, [number: number, value: V]> {
    return this.#with(enumerateStep(start))
  }

  /**
   * Batches of at most `max` values, of one task each; a batch is handed out when it is full or `within` has passed.
   * It is acked as one, and handled again as one.
   *
   * @throws `DEFINITION_INVALID` when `max` is not from 1 to 10,000; `DURATION_INVALID`
   */
  take(max: number, options: TakeOptions = {}): Stream<K, V[]> {
    const { agent, worker } = this.#host
    checkOptions(`take() of agent "${agent}"`, options, TAKE_OPTIONS)
    const { within } = options
    if (!Number.isSafeInteger(max) || max < 1 || max > LARGEST_BATCH)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Agent "${agent}" calls take(${max}); from 1 to ${LARGEST_BATCH} are possible.`,
      )
    const withinMs = within === undefined ? undefined : parseDuration(within, `take() of agent "${agent}"`)
    return this.#with(new GatherStep({ max, withinMs, clock: worker.clock }))
  }

  /**
   * Brings events of one (new) key to one partition, by way of a repartition topic. Call it when the handler starts,
   * before its first `await`. Bytes of the value are passed on as they are unless a step has changed it.
   *
   * @throws `DEFINITION_INVALID` for a name used twice, or after `events()`; `TOPOLOGY_LATE`
   *
   * @example
   * for await (const order of orders.groupBy((order) => order.customer, { name: 'by-customer' })) …
   */
  groupBy<T>(
    this: Stream<K, T> & SendsValues<T>,
    keyOf: (value: T, event: Event<K, T>) => string | Promise<string>,
    options?: GroupByOptions<'string'>,
  ): Stream<string, T>
  groupBy<T, const KS extends CodecSpec>(
    this: Stream<K, T> & SendsValues<T>,
    keyOf: (value: T, event: Event<K, T>) => InputOf<KS> | Promise<InputOf<KS>>,
    options: GroupByOptions<KS> & { readonly key: KS },
  ): Stream<OutputOf<KS>, T>
  groupBy(keyOf: (value: V, event: Event<K, V>) => unknown, options: GroupByOptions = {}): Stream<never, V> {
    checkOptions(`groupBy() of agent "${this.#host.agent}"`, options, GROUP_BY_OPTIONS)
    const inlet = this.#host.regroup(this.#branches, {
      keyOf: (value, event) => keyOf(value as V, event as Event<K, V>),
      name: options.name ?? 'group-by',
      key: options.key ?? 'string',
      value: options.value,
      partitions: options.partitions,
    })
    return new Stream(this.#host, [{ inlet, steps: [] }])
  }

  /**
   * Sends everything to `topic` and goes on reading from there. Call it when the handler starts, before its first `await`.
   *
   * @throws `DEFINITION_INVALID` after `events()`; `TOPOLOGY_LATE`
   */
  through<T, K2, V2>(this: Stream<K, T> & SendsValues<T>, topic: Topic<K2, V2, never, T>): Stream<K2, V2> {
    const inlet = this.#host.sendThrough(this.#branches, topic)
    return new Stream(this.#host, [{ inlet, steps: [] }])
  }

  /** Passes each value on to topics, agents, channels or functions, as an effect of its event, and goes on with it. */
  echo(...sinks: readonly Sink<V>[]): Stream<K, V> {
    return this.#with(echoStep(sinks))
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
   * One stream of the values of several, taken in turn: other streams of the same agent, or further topics and channels.
   *
   * @throws `DEFINITION_INVALID` when two of them read the same source
   */
  merge<const M extends readonly Mergeable[]>(...others: M): Stream<K | KeyIn<M[number]>, V | ValueIn<M[number]>> {
    const branches = [...this.#branches]
    for (const other of others) {
      if (other instanceof Stream) branches.push(...other.#branches)
      else branches.push({ inlet: this.#host.inlet(other), steps: [] })
    }
    const inlets = new Set(branches.map(({ inlet }) => inlet))
    if (inlets.size < branches.length)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Agent "${this.#host.agent}" merges two streams that read the same source; each event would go to one of them.`,
      )
    return new Stream(this.#host, branches)
  }

  /**
   * Events are not acked when the next one is asked for, but by `event.ack()`: for work on many events at once. Use it
   * with `events()`, and `event.run(fn)` for writes and sends.
   */
  noAck(): Stream<K, V> {
    return this.#with(noAckStep())
  }

  #with<U>(step: Step): Stream<K, U> {
    return new Stream(
      this.#host,
      this.#branches.map(({ inlet, steps }) => ({ inlet, steps: [...steps, step] })),
    )
  }
}

const LARGEST_BATCH = 10_000
const TAKE_OPTIONS: OptionNames<TakeOptions> = { within: true }
const GROUP_BY_OPTIONS: OptionNames<GroupByOptions> = { name: true, key: true, value: true, partitions: true }
