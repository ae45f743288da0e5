import type { CodecSpec, OptionNames, Duration } from '@millrace/core'
import type { Channel } from '../channels/channel.ts'
import type { Event } from '../events/event.ts'
import type { AnyTopic, Topic } from '../topics/topic.ts'
import type { Stream } from './stream.ts'

/** What can be merged into a stream. */
export type Mergeable = Stream<unknown, unknown> | AnyTopic | Channel<never>

/** How streams are merged. */
export interface MergeOptions {
  /** In the order of the times of their events, within each task. Default: taken in turn. */
  readonly ordered?: boolean | undefined
}

/** What reading it yields. */
export type KeyIn<M> =
  M extends Stream<infer K, infer _V>
    ? K
    : M extends Topic<infer K, infer _V, infer _KI, infer _VI>
      ? K
      : M extends Channel<infer _T>
        ? string | null
        : never
export type ValueIn<M> =
  M extends Stream<infer _K, infer V>
    ? V
    : M extends Topic<infer _K, infer V, infer _KI, infer _VI>
      ? V
      : M extends Channel<infer T>
        ? T
        : never

/** A stream for each predicate, and one for the rest. */
export type Branches<K, V, P extends readonly BranchPredicate<V>[]> = [
  ...branches: { -readonly [I in keyof P]: Stream<K, Passing<V, P[I]>> },
  rest: Stream<K, Exclude<V, Narrowed<V, P[number]>>>,
]

/** The compiler's message when events are sent on like values. */
export interface EventsAreNoValues {
  readonly 'call groupBy or through before events(): an event cannot be sent on as the value of a record': never
}

/** `this` of the steps that send values on: anything except events. */
export type SendsValues<V> = 0 extends 1 & V
  ? unknown
  : [V] extends [never]
    ? unknown
    : [V] extends [Event<infer _K, infer _V> | readonly Event<infer _K, infer _V>[]]
      ? EventsAreNoValues
      : unknown

/** Says whether a value belongs to a branch; one that narrows, `(value): value is Paid`, types its branch. */
export type BranchPredicate<V> = (value: V) => boolean | Promise<boolean>

/** The values that pass a predicate. */
export type Passing<V, P> = P extends ((value: V) => value is infer W extends V) ? W : V
/** The values that a narrowing predicate removes. */
export type Narrowed<V, P> = P extends ((value: V) => value is infer W extends V) ? W : never

export interface TakeOptions {
  /** Longest time from the first event of a batch to its hand-out. Default: until it is full. */
  readonly within?: Duration | undefined
}

export interface GroupByOptions<KS extends CodecSpec = CodecSpec> {
  /** Part of the repartition topic's name; needed if an agent groups more than once. Default `'group-by'`. */
  readonly name?: string | undefined
  /** How the new keys are encoded. Default `'string'`. */
  readonly key?: KS
  /** How values are encoded if a step before has changed them. Default `'json'`. */
  readonly value?: CodecSpec | undefined
  /** Partitions of the repartition topic. Default: those of the source. */
  readonly partitions?: number | undefined
}

export const GROUP_BY_OPTIONS: OptionNames<GroupByOptions> = { name: true, key: true, value: true, partitions: true }
