import { checkOptions, MillraceError, type OptionNames } from '@millrace/core'
import type { StreamWindowOptions, WindowKind, WindowResult } from '../stream-windows.ts'
import type { HandlerRun } from './handler-run.ts'
import type { Stream } from './stream.ts'
import type { Branch } from './stream-step.ts'
import { type EmitWhen, WindowEmits } from './window-emits.ts'
import { countInWindows, windowStep } from './window-steps.ts'

/** How a result is made of values. */
export interface Aggregation<K, V, A> {
  /** Gives the result before the first value. */
  readonly init: () => A
  /** Gives the result with one value more. */
  readonly add: (result: A, value: V, key: K) => A
}

/** As `Aggregation`, for sessions. */
export interface SessionAggregation<K, V, A> extends Aggregation<K, V, A> {
  /** Makes one result of those of two sessions, the earlier one first: an event between them makes one session of both. */
  readonly merge: (earlier: A, later: A) => A
}

/** The results of windows: a stream of all changes, or what `emit` says. */
export interface WindowedResults<K, A> extends Stream<K, WindowResult<K, A>> {
  /**
   * When results come. `'update'`, the default: after each event, for each of its windows. `'close'`: once for each key and
   * window, when the window takes no events any more; the event's timestamp is the window's last moment. `{ every: '10s' }`:
   * ten seconds after the first change of a key, by the clock, the last result of each of its windows that have changed;
   * the event's timestamp is that time. Results wait in a state of their own, `{windows}-suppress`, not in memory.
   *
   * `'close'` and `{ every }` can be read together, in one loop: then a window that has closed is not updated any more.
   * Call it before the handler's first `await`.
   *
   * @throws `DEFINITION_INVALID`; `SUPPRESS_INVALID` for a period that is not longer than 0; `NAME_TAKEN`, `TOPOLOGY_LATE`
   * @example
   * for await (const { key, window, value } of perMinute.emit('close')) await totals.send({ key, value: { ...window, value } })
   * @example
   * for await (const { key, window, value } of perHour.emit({ every: '10s' })) await screen.send({ key, value })
   */
  emit(when: EmitWhen): Stream<K, WindowResult<K, A>>
}

/** Without what a result brings along. */
type LengthsOf<W> = W extends { readonly merge: unknown } ? Omit<W, 'merge'> : W

export interface WindowedStreamOptions<K> {
  readonly run: HandlerRun
  readonly branches: readonly Branch[]
  readonly kind: LengthsOf<WindowKind>
  readonly options: StreamWindowOptions
  /** Makes a stream of these branches. */
  readonly stream: <U>(branches: readonly Branch[]) => Stream<K, U>
}

/** The values of each key by windows of event time, still to be brought to a result. Made by `stream.tumbling`, `stream.hopping` and `stream.session`. */
export class WindowedStream<K, V> {
  readonly #options: WindowedStreamOptions<K>

  constructor(options: WindowedStreamOptions<K>) {
    this.#options = options
  }

  /**
   * The number of events.
   *
   * @throws as `aggregate`
   */
  count(): WindowedResults<K, number> {
    return this.results('number', { init: () => 0, add: (count: number) => count + 1, merge: (a, b) => a + b })
  }

  /**
   * The values made into one of the same type; the first is the result as it is.
   *
   * @throws as `aggregate`
   * @example
   * prices.groupBy((price) => price.symbol).tumbling('1m').reduce((a, b) => (a.amount > b.amount ? a : b))
   */
  reduce(fn: (result: V, value: V) => V): WindowedResults<K, V> {
    assertFunction('reduce', fn)
    const add = (result: V | undefined, value: V): V => (result === undefined ? value : fn(result, value))
    return this.results<V>(undefined, { init: () => undefined, add, merge: fn })
  }

  /**
   * The values made into a result of any type. Results are kept in a windowed table; `add` makes a new one, and does not
   * change what it is given.
   *
   * @throws `WINDOW_INVALID` for lengths that make no sense; `DEFINITION_INVALID`, `NAME_TAKEN`, `TOPOLOGY_LATE`
   * @example
   * visits.groupBy((visit) => visit.page).hopping('1h', '5m').aggregate({ init: () => 0, add: (sum, visit) => sum + visit.ms })
   */
  aggregate<A>(aggregation: Aggregation<K, V, A>): WindowedResults<K, A> {
    assertFunction('aggregate: init', aggregation?.init)
    assertFunction('aggregate: add', aggregation?.add)
    return this.results<A>(undefined, { ...aggregation, merge: undefined })
  }

  /** `value`: how results are encoded, unless the options say so. */
  protected results<A>(
    value: 'number' | undefined,
    { init, add, merge }: AnyAggregation<K, V, A>,
  ): WindowedResults<K, A> {
    const { run, branches, stream, options } = this.#options
    // State gives back what this aggregation has made.
    const untyped = merge as ((earlier: unknown, later: unknown) => unknown) | undefined
    const kind = withMerge(this.#options.kind, untyped)
    const name = `${kind.kind}() of agent "${run.agent}"`
    checkOptions(name, options, WINDOW_OPTIONS)
    const codec = options.value ?? value ?? 'json'
    const state = run.steps.windowState(branches, kind, { ...options, value: codec })
    const count = countInWindows(state, {
      init,
      add: (result, given, key) => add(result as A, given as V, key as K),
    })
    const step = windowStep(count, kind.kind === 'hopping' || kind.kind === 'sliding')
    const all = stream<WindowResult<K, A>>(branches.map(({ source, steps }) => ({ source, steps: [...steps, step] })))
    const emits = new WindowEmits({ run, branches, state, count, value: codec, name })
    return Object.assign(all, {
      emit: (when: EmitWhen) => (when === 'update' ? all : stream<WindowResult<K, A>>([emits.emit(when)])),
    })
  }
}

/** The values of each key by sessions. Made by `stream.session`. */
export class SessionStream<K, V> extends WindowedStream<K, V> {
  /** As of all windows, with `merge`. */
  override aggregate<A>(aggregation: SessionAggregation<K, V, A>): WindowedResults<K, A> {
    assertFunction('aggregate: init', aggregation?.init)
    assertFunction('aggregate: add', aggregation?.add)
    assertFunction('aggregate: merge', aggregation?.merge)
    return this.results<A>(undefined, aggregation)
  }
}

interface AnyAggregation<K, V, A> {
  readonly init: () => A | undefined
  readonly add: (result: A, value: V, key: K) => A
  /** For sessions. */
  readonly merge: ((earlier: A, later: A) => A) | undefined
}

function withMerge(
  kind: LengthsOf<WindowKind>,
  merge: ((earlier: unknown, later: unknown) => unknown) | undefined,
): WindowKind {
  if (kind.kind !== 'session') return kind
  assertFunction('aggregate: merge', merge)
  return { ...kind, merge }
}

function assertFunction<F>(what: string, fn: F | undefined): asserts fn is F {
  if (typeof fn === 'function') return
  throw new MillraceError('DEFINITION_INVALID', `${what} takes a function, not ${String(fn)}.`)
}

const WINDOW_OPTIONS: OptionNames<StreamWindowOptions> = {
  grace: true,
  retention: true,
  late: true,
  name: true,
  value: true,
}
