import { checkOptions, type CodecSpec, type Duration, type InputOf, type OutputOf } from '@millrace/core'
import type { Event } from '../events/event.ts'
import type { EventSource } from '../events/source.ts'
import type {
  JoinedGlobalTable,
  JoinedPartitions,
  JoinedRow,
  JoinedTable,
  TableJoinKind,
  TableJoinOptions,
} from '../stream-joins.ts'
import type { StreamWindowOptions } from '../stream-windows.ts'
import type { StreamJoinKind } from '../joins/join-rules.ts'
import type { AnyTopic, Topic } from '../topics/topic.ts'
import { takeStep } from './batching.ts'
import { assertPredicates, type Predicate } from './branching.ts'
import type { HandlerRun } from './handler-run.ts'
import { orStop } from './handler-steps.ts'
import { mergeBranches } from './merging.ts'
import { type Branch, branchesOf, type StreamStep } from './stream-step.ts'
import {
  type BranchPredicate,
  type Branches,
  GROUP_BY_OPTIONS,
  type GroupByOptions,
  type KeyIn,
  type Mergeable,
  type MergeOptions,
  type SendsValues,
  type TakeOptions,
  type ValueIn,
} from './stream-options.ts'
import { joinStreams, type LeftValue, type RightValue, type StreamJoinOptions } from './stream-join.ts'
import { dedupe, type DedupeOptions, suppress, type SuppressOptions } from './kept-steps.ts'
import { isTable, joinTable } from './table-join.ts'
import { StatelessStream } from './stateless-stream.ts'
import { SessionStream, WindowedStream, type WindowedStreamOptions } from './windowed-stream.ts'

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
export class Stream<K, V> extends StatelessStream<K, V> {
  readonly #run: HandlerRun
  readonly #branches: readonly Branch[]

  constructor(run: HandlerRun, branches: readonly Branch[]) {
    super()
    this.#run = run
    this.#branches = branches
  }

  /** What comes from these sources as it is. */
  static of<K, V>(run: HandlerRun, sources: readonly EventSource[]): Stream<K, V> {
    return new Stream<K, V>(run, branchesOf(sources))
  }

  override [Symbol.asyncIterator](): AsyncIterator<V, undefined> {
    return this.#run.read<V>(this.#branches)
  }

  /**
   * Batches of at most `max` values, of one task each; a batch is handed out when it is full or `within` has passed.
   * It is handed out earlier where it cannot fill: at the bounds `maxUncommitted` and `maxUncommittedBytes`, or when
   * another event waits for one in it. It is acked as one, and handled again as one.
   *
   * @throws `DEFINITION_INVALID` when `max` is not from 1 to 10,000, and behind `flatMap` and then `branch`; `DURATION_INVALID`
   */
  take(max: number, options: TakeOptions = {}): Stream<K, V[]> {
    return this.with(takeStep(this.#run.errors.context, this.#branches, max, options))
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
    checkOptions(`groupBy() of agent "${this.#run.agent}"`, options, GROUP_BY_OPTIONS)
    const source = this.#run.steps.regroup(this.#branches, {
      keyOf: (value, event) => keyOf(value as V, event as Event<K, V>),
      name: options.name ?? 'group-by',
      key: options.key ?? 'string',
      value: options.value,
      partitions: options.partitions,
    })
    return Stream.of(this.#run, [source])
  }

  /**
   * The values of each key by windows of this size, one after the other on the grid of the epoch: an event counts in the
   * window of its time. Follow it with `count`, `reduce` or `aggregate`. The keys are those of the events, mostly of
   * `groupBy`. Call it when the handler starts, before its first `await`.
   *
   * @throws as `aggregate`
   * @example
   * const perMinute = views.groupBy((view) => view.page).tumbling('1m', { grace: '10s' }).count()
   * for await (const { key, window, value } of perMinute.emit('close')) …
   */
  tumbling(size: Duration, options: StreamWindowOptions = {}): WindowedStream<K, V> {
    return new WindowedStream(this.#windowed({ kind: 'tumbling', size }, options))
  }

  /** As `tumbling`, with a window of this size every so often: they overlap, and an event counts in each that holds its time. */
  hopping(size: Duration, every: Duration, options: StreamWindowOptions = {}): WindowedStream<K, V> {
    return new WindowedStream(this.#windowed({ kind: 'hopping', size, every }, options))
  }

  /**
   * As `tumbling`, with windows that slide with the events: for each event of a key the window that ends with it, as long as
   * `difference`, and once that has events the one that begins right after it. Both ends belong to a window. An event that is
   * more than `grace` behind the watermark is late for all of them.
   */
  sliding(difference: Duration, options: StreamWindowOptions = {}): WindowedStream<K, V> {
    return new WindowedStream(this.#windowed({ kind: 'sliding', difference }, options))
  }

  /** As `tumbling`, by sessions, which end when their key has had no event for the gap; `aggregate` then needs a `merge`. */
  session(gap: Duration, options: StreamWindowOptions = {}): SessionStream<K, V> {
    return new SessionStream(this.#windowed({ kind: 'session', gap }, options))
  }

  /**
   * Each value with the row of a table that belongs to it: that of the event's key, or of the key that `on` gives. `fn` makes
   * one value of both. Call it when the handler starts, before its first `await`.
   *
   * If the table is a topic (`app.table(…, { from })`), events see the rows as they were at their own time, live and in a
   * replay. Any other table is seen as it is when the event is handled.
   *
   * @throws `DEFINITION_INVALID`, `KEY_CODEC_DIFFERS`, `TOPOLOGY_LATE`; at start `NOT_COPARTITIONED`, `JOIN_CYCLE`
   * @example
   * const named = orders.join(customers, { on: (order) => order.customer }, (order, customer) => ({ ...order, name: customer.name }))
   */
  join<TK, TV, R, const J extends TableJoinKind = 'inner'>(
    table: JoinedGlobalTable<TK, TV>,
    options: TableJoinOptions<V, TK, J>,
    fn: (value: V, row: JoinedRow<TV, J>) => R | Promise<R>,
  ): Stream<K, R>
  join<TK, TV, R, const J extends TableJoinKind = 'inner'>(
    table: JoinedPartitions<TK, TV>,
    options: TableJoinOptions<V, TK, J> & { readonly on: (value: V) => TK | null | undefined },
    fn: (value: V, row: JoinedRow<TV, J>) => R | Promise<R>,
  ): Stream<TK, R>
  join<TV, R, const J extends TableJoinKind = 'inner'>(
    table: JoinedPartitions<K, TV>,
    options: TableJoinOptions<V, K, J> & { readonly on?: undefined },
    fn: (value: V, row: JoinedRow<TV, J>) => R | Promise<R>,
  ): Stream<K, R>
  /**
   * Each value with each value of another stream that has the same key and is at most `within` apart in time, or from `before`
   * earlier to `after` later. With `kind: 'left'` or `'outer'` also those that have met none, once event time is beyond their
   * span and `grace`; late events are left out, counted, and sent to `late`. Call it when the handler starts, before its first
   * `await`.
   *
   * @throws `JOIN_INVALID` for spans that make no sense; `DEFINITION_INVALID`, `KEY_CODEC_DIFFERS`, `NAME_TAKEN`,
   * `TOPOLOGY_LATE`; at start `NOT_COPARTITIONED`
   * @example
   * const paid = orders.join(payments, { within: '10m', grace: '1m', kind: 'left' }, (order, payment) => ({ ...order, payment }))
   */
  join<OV, R, const J extends StreamJoinKind = 'inner'>(
    other: Stream<K, OV> | Topic<K, OV, never, never>,
    options: StreamJoinOptions<J>,
    fn: (value: LeftValue<V, J>, other: RightValue<OV, J>) => R | Promise<R>,
  ): Stream<K, R>
  join(
    other: JoinedTable<unknown, unknown> | Stream<unknown, unknown> | AnyTopic,
    options: TableJoinOptions<never, unknown, TableJoinKind> & StreamJoinOptions<StreamJoinKind>,
    fn: (value: never, other: never) => unknown,
  ): Stream<never, unknown> {
    const run = this.#run
    const left = this.#branches
    if (isTable(other)) return this.#declared(() => joinTable(run, left, { table: other, options, join: fn }))
    const right = other instanceof Stream ? other.#branches : branchesOf(run.steps.further(other))
    return this.#declared(() => joinStreams(run, { left, right, options, join: fn }))
  }

  /**
   * Drops events whose id (`by`) was seen before, up to `within` later by the times of the events. What was seen is kept as a
   * table is: over restarts, and on the worker that has the partition. Events of one id must have one key. Call it when the
   * handler starts, before its first `await`.
   *
   * @throws `DEDUPE_INVALID`, `DEFINITION_INVALID`, `NAME_TAKEN`, `TOPOLOGY_LATE`
   * @example
   * for await (const order of orders.dedupe({ by: (order) => order.id, within: '1h' })) …
   */
  dedupe(options: DedupeOptions<V>): Stream<K, V> {
    return this.#declared(() => dedupe(this.#run, this.#branches, options))
  }

  /**
   * The last value of each key, `every` after its first one, by the clock: many changes become one. Values wait in a state of
   * their own, not in memory. Call it when the handler starts, before its first `await`.
   *
   * @throws `SUPPRESS_INVALID`, `DEFINITION_INVALID`, `NAME_TAKEN`, `CODEC_UNKNOWN`, `TOPOLOGY_LATE`
   * @example
   * for await (const price of prices.suppress({ every: '10s' })) …
   */
  suppress(options: SuppressOptions): Stream<K, V> {
    return this.#declared(() => suppress(this.#run, this.#branches, options))
  }

  /**
   * Sends everything to `topic` and goes on reading from there. Call it when the handler starts, before its first `await`.
   *
   * @throws `DEFINITION_INVALID` after `events()`; `TOPOLOGY_LATE`
   */
  through<T, K2, V2>(this: Stream<K, T> & SendsValues<T>, topic: Topic<K2, V2, never, T>): Stream<K2, V2> {
    return Stream.of(this.#run, [this.#run.steps.sendThrough(this.#branches, topic)])
  }

  /**
   * A stream for each predicate, and one more for the rest: an event goes to the first whose predicate holds. It is finished
   * when its branch has done with it; when that fails, it is tried again from the start. The branches take turns, so that one
   * event at a time is in flight and the events of a key keep their order.
   *
   * Each branch, the rest too, needs an end before the handler's first `await`: a loop, `forEach`, `to`, or a step that sends
   * on. Wait for them together; `to()` with nothing drops what is not wanted. A predicate that narrows types its branch.
   *
   * @throws `DEFINITION_INVALID` without predicates, or for a branch without an end
   * @example
   * app.agent('payments', orders, async (orders) => {
   *   const [paid, open, rest] = orders.branch((order) => order.state === 'paid', (order) => order.state === 'open')
   *   await Promise.all([paid.forEach((order) => ship(order)), open.to(reminders), rest.to()])
   * })
   */
  branch<P extends readonly [BranchPredicate<V>, ...BranchPredicate<V>[]]>(...predicates: P): Branches<K, V, P> {
    assertPredicates(predicates, this.#run.agent)
    const tests = predicates.map(
      (predicate): Predicate =>
        (value) =>
          predicate(value as V),
    )
    return this.#run.branch(this.#branches, tests).map((source) => Stream.of(this.#run, [source])) as Branches<K, V, P>
  }

  /**
   * One stream of the values of several: other streams of the same agent, or further topics and channels. They are taken in
   * turn, or in the order of their times with `{ ordered: true }` behind them: live as far as their brokers have them, and on
   * a replay all of them. At equal times the first one named goes first.
   *
   * @throws `DEFINITION_INVALID` when two of them read the same source; with `ordered` also for a channel, and at start
   * `NOT_COPARTITIONED` when topics have different numbers of partitions
   * @example
   * for await (const each of orders.merge(payments, { ordered: true })) …
   */
  merge<const M extends readonly (Mergeable | MergeOptions)[]>(
    ...others: M
  ): Stream<K | KeyIn<M[number]>, V | ValueIn<M[number]>> {
    const given = others.map((each) => (each instanceof Stream ? each.#branches : each))
    return new Stream(this.#run, mergeBranches(this.#run, this.#branches, given))
  }

  /** A mistake in the declaration ends the worker, because every run of the handler would make it again. */
  #declared<L, U>(declare: () => readonly Branch[]): Stream<L, U> {
    return new Stream(this.#run, orStop(this.#run.errors, declare))
  }

  #windowed(kind: WindowedStreamOptions<K>['kind'], options: StreamWindowOptions): WindowedStreamOptions<K> {
    const stream = <U>(branches: readonly Branch[]): Stream<K, U> => new Stream<K, U>(this.#run, branches)
    return { run: this.#run, branches: this.#branches, kind, options, stream }
  }

  protected override get agent(): string {
    return this.#run.agent
  }

  protected override with<U>(step: StreamStep): Stream<K, U> {
    return new Stream(
      this.#run,
      this.#branches.map(({ source, steps }) => ({ source, steps: [...steps, step] })),
    )
  }
}
