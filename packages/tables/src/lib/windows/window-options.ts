import {
  checkOptions,
  type Duration,
  formatDuration,
  MillraceError,
  type OptionNames,
  shownValue,
  wholeMilliseconds,
} from '@millrace/core'

/**
 * When a window begins and ends, in milliseconds since the epoch. `start` belongs to it, `end` does not; of sessions and sliding
 * windows, both do.
 */
export interface Window {
  readonly start: number
  readonly end: number
}

/** A window in which a key has a value. */
export interface WindowValue<V> extends Window {
  readonly value: V
}

/** The final value of a key in a closed window. */
export interface ClosedWindow<K, V> {
  readonly key: K
  readonly window: Window
  readonly value: V
}

/** Where late events go: a topic of the app. */
export interface LateSink {
  readonly name: string
}

/** Options of all kinds of windows. `N` is the name, if one is given. */
export interface WindowOptions<K, V, N extends string = string> {
  /** How long after its end a window still takes events. Default `'0s'`. */
  readonly grace?: Duration
  /** How long after its end a window can be read; at least `grace`. Default `'1d'`. */
  readonly retention?: Duration
  /**
   * A topic for the unchanged records of events whose windows are all closed, with the headers `millrace-window` (start and
   * end of the last window missed, `{start}/{end}`) and `millrace-late-by` (milliseconds since that one closed).
   */
  readonly late?: LateSink
  /** Called with each key's value once its window is closed, as an agent `{table}-close` would read it from `closed`. */
  readonly onWindowClose?: (closed: ClosedWindow<K, V>) => unknown
  /** The name of the view, its changelog and its statistics. Default: table, kind and lengths, such as `counts-tumbling-1m`. */
  readonly name?: N
}

/** Options of session windows. */
export interface SessionOptions<K, V, N extends string = string> extends WindowOptions<K, V, N> {
  /** Merges the values of two sessions, the earlier one first, when an event between them makes them one session. */
  readonly merge: (earlier: V, later: V) => V
}

const WINDOW_OPTIONS: OptionNames<WindowOptions<unknown, unknown>> = {
  grace: true,
  retention: true,
  late: true,
  onWindowClose: true,
  name: true,
}

const DEFAULT_RETENTION = '1d'

/** A window every so many milliseconds on the grid of the epoch, all of one size. Tumbling: `everyMs` is `sizeMs`. */
export interface WindowGrid {
  readonly sizeMs: number
  readonly everyMs: number
}

/** Sessions: the events of a key that are no further apart than the gap. */
export interface SessionGap<V> {
  readonly gapMs: number
  readonly merge: (earlier: V, later: V) => V
}

/** Sliding windows: events that are no further apart than the difference. */
export interface WindowDifference {
  readonly differenceMs: number
}

/** A view's options, checked. */
export interface WindowDefinition<K, V> {
  readonly name: string
  readonly spans: WindowGrid | WindowDifference | SessionGap<V>
  readonly graceMs: number
  readonly retentionMs: number
  readonly late: LateSink | undefined
  readonly onWindowClose: WindowOptions<K, V>['onWindowClose']
}

/** The kind of windows, and their lengths. */
export type WindowKind<V> =
  | { readonly kind: 'tumbling'; readonly size: Duration }
  | { readonly kind: 'hopping'; readonly size: Duration; readonly every: Duration }
  | { readonly kind: 'sliding'; readonly difference: Duration }
  | { readonly kind: 'session'; readonly gap: Duration; readonly merge: (earlier: V, later: V) => V }

/** The owner of the windows: a table, or the stream of an agent. */
export interface WindowsOf {
  readonly name: string
  /** For messages: `table "counts"`. */
  readonly where: string
}

/**
 * Checks what `tumbling`, `hopping`, `sliding` and `session` are given.
 *
 * @throws `WINDOW_INVALID`, `DEFINITION_INVALID`
 */
export function readWindows<K, V>(
  of: WindowsOf,
  kind: WindowKind<V>,
  options: WindowOptions<K, V>,
): WindowDefinition<K, V> {
  const where = `the ${kind.kind} windows of ${of.where}`
  checkOptions(where, options, WINDOW_OPTIONS)
  const spans = readSpans(where, kind)
  const graceMs = readPart(where, 'grace', options.grace ?? 0)
  const { late, onWindowClose } = options
  if (late !== undefined && (typeof late !== 'object' || late === null || typeof late.name !== 'string'))
    throw new MillraceError('DEFINITION_INVALID', `late of ${where} takes a topic of the app.`)
  if (onWindowClose !== undefined) assertFunction('onWindowClose', where, onWindowClose)
  return {
    name: options.name ?? [of.name, kind.kind, ...lengthsOf(spans).map(formatDuration)].join('-'),
    spans,
    graceMs,
    retentionMs: Math.max(graceMs, readPart(where, 'retention', options.retention ?? DEFAULT_RETENTION)),
    late,
    onWindowClose,
  }
}

function readSpans<V>(where: string, kind: WindowKind<V>): WindowDefinition<never, V>['spans'] {
  if (kind.kind === 'session') {
    const { merge } = kind
    assertFunction('merge', where, merge)
    return { gapMs: readSpan(where, 'gap', kind.gap), merge }
  }
  if (kind.kind === 'sliding') return { differenceMs: readSpan(where, 'difference', kind.difference) }
  const sizeMs = readSpan(where, 'size', kind.size)
  const everyMs = kind.kind === 'tumbling' ? sizeMs : readSpan(where, 'every', kind.every)
  if (everyMs > sizeMs)
    throw new MillraceError(
      'WINDOW_INVALID',
      `${capital(where)} begin every ${formatDuration(everyMs)} and are ${formatDuration(sizeMs)} long: an event between two windows would be in none.`,
    )
  return { sizeMs, everyMs }
}

function lengthsOf<V>(spans: WindowDefinition<never, V>['spans']): readonly number[] {
  if ('gapMs' in spans) return [spans.gapMs]
  if ('differenceMs' in spans) return [spans.differenceMs]
  return spans.everyMs === spans.sizeMs ? [spans.sizeMs] : [spans.sizeMs, spans.everyMs]
}

function assertFunction(what: string, where: string, given: unknown): void {
  if (typeof given === 'function') return
  throw new MillraceError('DEFINITION_INVALID', `${what} of ${where} is ${String(given)}; it takes a function.`)
}

function readSpan(where: string, what: string, value: Duration): number {
  const ms = readPart(where, what, value)
  if (ms >= 1) return ms
  throw new MillraceError('WINDOW_INVALID', `${what} of ${where} is ${shownValue(value)}; it must be longer.`)
}

function readPart(where: string, what: string, value: Duration): number {
  return wholeMilliseconds(value, `${what} of ${where}`, 'WINDOW_INVALID')
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
