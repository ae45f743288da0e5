import {
  checkOptions,
  type Duration,
  formatDuration,
  MillraceError,
  type OptionNames,
  readDuration,
} from '@millrace/core'

/** When a window begins and ends, in milliseconds since the epoch: `start` belongs to it, `end` does not. */
export interface Window {
  readonly start: number
  readonly end: number
}

/** A window in which a key has a value. */
export interface WindowValue<V> extends Window {
  readonly value: V
}

/** What a key came to in a window that takes no events any more. */
export interface ClosedWindow<K, V> {
  readonly key: K
  readonly window: Window
  readonly value: V
}

/** Where late events go: a topic of the app. */
export interface LateSink {
  readonly name: string
}

/** Options of all kinds of windows. */
export interface WindowOptions<K, V> {
  /** How long after its end a window still takes events. Default `'0s'`. */
  readonly grace?: Duration
  /** How long after its end a window can be read; at least `grace`. Default `'1d'`. */
  readonly retention?: Duration
  /**
   * A topic for events that come when all of their windows are closed: as they came, with the headers `millrace-window` (start and
   * end of the last window missed, `{start}/{end}`) and `millrace-late-by` (milliseconds since that one closed).
   */
  readonly late?: LateSink
  /** Called with each key's value once its window is closed, as an agent `{table}-close` would read it from `closed`. */
  readonly onWindowClose?: (closed: ClosedWindow<K, V>) => unknown
  /** Of the view, its changelog and its statistics. Default: `{table}-tumbling-{size}`, `{table}-hopping-{size}-{every}`. */
  readonly name?: string
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

/** A view's options, checked. */
export interface WindowDefinition<K, V> extends WindowGrid {
  readonly name: string
  readonly graceMs: number
  readonly retentionMs: number
  readonly late: LateSink | undefined
  readonly onWindowClose: WindowOptions<K, V>['onWindowClose']
}

/** The kind of windows, and their lengths. */
export type WindowKind =
  | { readonly kind: 'tumbling'; readonly size: Duration }
  | { readonly kind: 'hopping'; readonly size: Duration; readonly every: Duration }

/** What the windows are of: a table, or the stream of an agent. */
export interface WindowsOf {
  readonly name: string
  /** For messages: `table "counts"`. */
  readonly where: string
}

/**
 * Checks what `tumbling` and `hopping` are given.
 *
 * @throws `WINDOW_INVALID`, `DEFINITION_INVALID`
 */
export function readWindows<K, V>(
  of: WindowsOf,
  lengths: WindowKind,
  options: WindowOptions<K, V>,
): WindowDefinition<K, V> {
  const { kind } = lengths
  const where = `the ${kind} windows of ${of.where}`
  checkOptions(where, options, WINDOW_OPTIONS)
  const sizeMs = readSpan(where, 'size', lengths.size)
  const everyMs = kind === 'tumbling' ? sizeMs : readSpan(where, 'every', lengths.every)
  if (everyMs > sizeMs)
    throw new MillraceError(
      'WINDOW_INVALID',
      `${capital(where)} begin every ${formatDuration(everyMs)} and are ${formatDuration(sizeMs)} long: events between two of them would be in none.`,
    )
  const graceMs = readPart(where, 'grace', options.grace ?? 0)
  const { late, onWindowClose } = options
  if (late !== undefined && (typeof late !== 'object' || late === null || typeof late.name !== 'string'))
    throw new MillraceError('DEFINITION_INVALID', `late of ${where} takes a topic of the app.`)
  if (onWindowClose !== undefined && typeof onWindowClose !== 'function')
    throw new MillraceError(
      'DEFINITION_INVALID',
      `onWindowClose of ${where} is ${String(onWindowClose)}; it takes a function.`,
    )
  const spans = kind === 'tumbling' ? [sizeMs] : [sizeMs, everyMs]
  return {
    name: options.name ?? [of.name, kind, ...spans.map(formatDuration)].join('-'),
    sizeMs,
    everyMs,
    graceMs,
    retentionMs: Math.max(graceMs, readPart(where, 'retention', options.retention ?? DEFAULT_RETENTION)),
    late,
    onWindowClose,
  }
}

function readSpan(where: string, what: string, value: Duration): number {
  const ms = readPart(where, what, value)
  if (ms >= 1) return ms
  throw new MillraceError('WINDOW_INVALID', `${what} of ${where} is ${shown(value)}, which is no length of time.`)
}

/** Whole milliseconds, as timestamps are. */
function readPart(where: string, what: string, value: Duration): number {
  const ms = readDuration(value)
  if (ms !== undefined && Number.isSafeInteger(ms)) return ms
  throw new MillraceError(
    'WINDOW_INVALID',
    `${what} of ${where} is ${shown(value)}; it takes whole milliseconds, or text such as '250ms', '10s', '5m', '1h', '1d'.`,
  )
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** The starts of the windows that hold a time, the oldest first. */
export function startsAt({ sizeMs, everyMs }: WindowGrid, time: number): readonly number[] {
  const newest = newestStart({ everyMs }, time)
  if (everyMs === sizeMs) return [newest]
  const starts: number[] = []
  for (let start = newest; start > time - sizeMs && start >= 0; start -= everyMs) starts.unshift(start)
  return starts
}

/** The start of the newest window that holds a time. */
export function newestStart({ everyMs }: Pick<WindowGrid, 'everyMs'>, time: number): number {
  return Math.floor(time / everyMs) * everyMs
}
