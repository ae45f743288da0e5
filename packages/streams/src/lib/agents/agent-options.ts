import type { Duration } from '@millrace/core'
import type { DueSource } from '@millrace/worker'
import type { AnyChannel, Channel } from '../channels/channel.ts'
import type { OnError } from '../errors/error-policy.ts'
import type { RetryDelays } from '../errors/retry-plan.ts'
import type { Sink } from '../events/targets.ts'
import type { Stream } from '../streams/stream.ts'
import type { AnyTopic, Topic } from '../topics/topic.ts'
import type { KeyInput, KeyOutput, TopicOptions, ValueInput, ValueOutput } from '../topics/topic-options.ts'

/** A handler's result: nothing, or the values that an async generator yields. */
export type HandlerResult<Y = unknown> = Promise<void> | AsyncGenerator<Y, void, undefined>

/** A topic, a channel, several of them, or the schema of a topic that the agent owns. */
export type AgentSource = AnySource | readonly AnySource[] | TopicOptions

/** A topic, a channel, or the due events of a state, such as the closed windows of a table. */
export type AnySource = AnyTopic | AnyChannel | DueSource<unknown, unknown>

type SpecIn<S, Name extends 'key' | 'value'> = S extends { readonly [N in Name]: infer Spec }
  ? Extract<Spec, TopicOptions[Name]>
  : undefined
type TombstonesIn<S> = S extends { readonly tombstones: true } ? true : false

/** The values that a source yields and accepts. For a list, the union over its sources. */
type TypesOf<S> =
  S extends Topic<infer K, infer V, infer KI, infer VI>
    ? { key: K; value: V; keyInput: KI; valueInput: VI }
    : S extends Channel<infer T>
      ? { key: string | null; value: T; keyInput: string; valueInput: T }
      : S extends DueSource<infer K, infer V>
        ? { key: K; value: V; keyInput: never; valueInput: never }
        : S extends readonly (infer E)[]
          ? TypesOf<E>
          : {
              key: KeyOutput<SpecIn<S, 'key'>>
              value: ValueOutput<SpecIn<S, 'value'>, TombstonesIn<S>>
              keyInput: KeyInput<SpecIn<S, 'key'>>
              valueInput: ValueInput<SpecIn<S, 'value'>>
            }

/** The source that receives sends, out of several. */
type FirstOf<S> = S extends readonly [infer F, ...unknown[]] ? F : S

/** The values read from a source. */
export type SourceKey<S> = TypesOf<S>['key']
export type SourceValue<S> = TypesOf<S>['value']

/** The values that a source accepts; the first of several sources receives them. */
export type SourceKeyInput<S> = TypesOf<FirstOf<S>>['keyInput']
export type SourceValueInput<S> = TypesOf<FirstOf<S>>['valueInput']

/** The handler of an agent over `S` that yields `Y` (`never`: nothing); `T`: with tombstones. */
export type AgentHandler<S extends AgentSource, Y, T extends boolean | undefined = undefined> = (
  stream: Stream<SourceKey<S>, SourceValue<S> | ([T] extends [true] ? null : never)>,
) => HandlerResult<Y>

/** How fast an agent may go. */
export interface RateLimitOptions {
  /** Events, above 0; 0.5 is one event in two seconds. */
  readonly perSecond: number
}

/** Options of an agent that yields `Y` and reads keys `K` and values `V`. */
export interface AgentOptions<Y, T extends boolean | undefined = boolean | undefined, K = unknown, V = unknown> {
  /** Instances per worker; each runs the handler once. Default: the setting `agent.concurrency`, 1. */
  readonly concurrency?: number | undefined
  /**
   * `'key'`: events of one key go to one instance, in order. `'none'`: any instance with room takes the next event.
   * Default `'key'`.
   */
  readonly ordering?: 'key' | 'none' | undefined
  /** Targets of yielded values, sent with the event's key, headers and timestamp. */
  readonly sinks?: readonly Sink<Y>[] | undefined
  /** What happens to events on which the agent fails. Default `'retry'`: 3 retries, then a dead letter. */
  readonly onError?: OnError<K, V> | undefined
  /**
   * Retries that wait without holding up the partition: an event on which the agent fails leaves it, is kept in a state of
   * the agent (`{agent}-retries`, with a changelog), and is handed out again after each of these delays. After the attempt
   * that follows the last one, the event is a dead letter, or what `then` of `onError` says. Retries in place are made
   * only if `onError` asks for them, before the first delay. Not for events of channels or of what is due in a state,
   * nor with `take()`, joins of two streams, and ordered merges. Default: retries in place, as `onError` says.
   *
   * @example
   * app.agent('charge', orders, charge, { retry: { delays: ['10s', '1m', '10m'] } })
   */
  readonly retry?: RetryDelays | undefined
  /**
   * The longest time for one attempt at an event, or at a batch of `take()`, from when the handler gets it until it asks
   * for the next one. Then the event's `signal` aborts, and the event fails with `EVENT_TIMEOUT` as `onError` says, even
   * if the handler still waits: the handler is called anew, and what the old call does for the event from then on throws
   * `NO_CURRENT_EVENT`. It cannot stop a handler that computes without a pause. Default: any time.
   */
  readonly timeout?: Duration | undefined
  /**
   * The most events that the agent takes on each worker, its instances together. A tenth of a second's events may come
   * at once after a pause. Default: as many as come.
   */
  readonly rateLimit?: RateLimitOptions | undefined
  /**
   * Others may ask the agent over HTTP: with `client.agent(name).ask(value)` of `@millrace/http-client`, or with POST to
   * `/agent/{name}/ask/`. Whoever may see the built-in pages may then send any value to it. Default `false`.
   */
  readonly http?: boolean | undefined
  /** Hand out records without a value, as `null`. Default `false`. */
  readonly tombstones?: T
  /** One line for listings. */
  readonly help?: string | undefined
}
