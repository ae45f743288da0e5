import { type Logger, MillraceError } from '@millrace/core'
import { changelogOf, CodecKeys, readingEvent, type StateContext, WindowPartition, writingEvent } from '@millrace/state'
import type { DueSource, OpenState, OpenStateOptions, RoutedTable, StateDefinition, TableStats } from '@millrace/worker'
import type { ReadOptions } from '../keyed-map.ts'
import { KeyedTable } from '../keyed-table.ts'
import type { TableDefinition } from '../options.ts'
import { TableValues } from '../table-values.ts'
import { watchKey, type WatchOptions } from '../watch/watch-key.ts'
import { ClosedWindows } from './closed-windows.ts'
import { type KeyReader, KeyWindows, type TimeRange } from './key-windows.ts'
import { FixedWindows } from './fixed-windows.ts'
import { LateEvents } from './late-events.ts'
import { SessionWindows } from './session-windows.ts'
import { SlidingWindows } from './sliding-windows.ts'
import type { ClosedWindow, Window, WindowDefinition, WindowValue } from './window-options.ts'
import { type ChangeIn, partitionOf, type WindowRows, type WindowRowsOptions } from './window-rows.ts'

/** The windows that a page or command asks for: all, those in a range, or the one that holds a time. */
export interface AskedWindows extends TimeRange {
  /** In milliseconds since the epoch. */
  readonly at?: number | undefined
}

/** How to write to a window. */
export interface WindowWriteOptions {
  /** The time whose windows are written. Default: the time of the current event. */
  readonly at?: number | undefined
}

/** How to update windows. */
export interface WindowUpdateOptions<V> extends WindowWriteOptions {
  /**
   * Called with each new window that the event has made and is not in: of sliding windows the one right behind an event that
   * came after later ones. Its value is final for the events so far.
   */
  readonly copied?: ((value: V, window: Window) => void) | undefined
}

/**
 * A table's values by windows of event time: a state of its own, with a changelog of its own. Made by `table.tumbling`,
 * `table.hopping`, `table.sliding` and `table.session`.
 *
 * @example
 * const minutes = counts.tumbling('1m', { grace: '10s' })
 * minutes.update(word, (n) => n + 1)
 * minutes.get(word).current()
 */
export class WindowedTable<K, V, G extends V | undefined = V | undefined>
  extends KeyedTable<K, never, unknown>
  implements StateDefinition, RoutedTable
{
  readonly changelog: StateDefinition['changelog']
  readonly partitions: number | undefined
  readonly standbys: number | undefined
  readonly sizedAs: readonly string[] | undefined
  readonly eventTime: boolean = true
  /**
   * The source of an agent that reads each key's value once its window is closed: `{ key, window, value }`, with the
   * window's last moment as timestamp. Each comes once, in the order in which windows end. One agent can read it.
   */
  readonly closed: DueSource<K, ClosedWindow<K, V>>
  readonly #isClosing: () => boolean
  protected override readonly rows: WindowRows<K, V>['locator']
  readonly #windows: WindowRows<K, V>
  readonly #values: TableValues<V, G>
  readonly #context: StateContext
  readonly #late: LateEvents

  constructor(context: StateContext, table: TableDefinition<K, V>, windows: WindowDefinition<K, V>) {
    const where = `table "${windows.name}"`
    const definition = { ...table, name: windows.name, where }
    const keys = new CodecKeys<K>(definition)
    super(context, keys, definition)
    this.changelog = changelogOf(context.appId, windows.name)
    this.partitions = table.partitions
    this.sizedAs = table.sizedAs
    this.standbys = table.standbys
    this.#context = context
    this.#values = new TableValues(table.fallback)
    const log = (): Logger | undefined => context.workers()[0]?.log
    this.#late = new LateEvents({ table: windows.name, where, sink: windows.late, log })
    const isClosing = (): boolean => closed.isRead
    this.#isClosing = isClosing
    const options = { state: this, context, keys, table: definition, windows, isClosing }
    const { spans } = windows
    this.#windows = windowRows(spans, options)
    this.rows = this.#windows.locator
    const closed = new ClosedWindows<K, V>(this, { keys, rows: this.#windows })
    this.closed = closed
  }

  /**
   * Changes a key's value, or the default, in every window that holds the event's time and is open, as an effect of the current event.
   * `change` gets the value and its window, the oldest first. Returns the number of windows changed: 0 if the event is too late for all of them. It is then counted as late and sent to the `late` topic.
   *
   * @throws as `set` of a table; `TIME_AMBIGUOUS` in a batch of `take` whose events have different times, without `at`
   * @example
   * minutes.update(word, (n) => n + 1)
   */
  update(key: K, change: (value: G, window: Window) => V, options: WindowUpdateOptions<V> = {}): number {
    return this.#write(key, options, (before, window, entry) => {
      const value = this.#values.changed(entry, before, (given) => change(given, window))
      if (value === undefined)
        throw new MillraceError(
          'VALUE_UNDEFINED',
          `The function given to update returned undefined for ${entry.show()}.`,
        )
      return value
    })
  }

  /** As `update`, with a value. */
  set(key: K, value: V, options: WindowWriteOptions = {}): number {
    return this.#write(key, options, (_before, _window, entry) => {
      if (value === undefined)
        throw new MillraceError('VALUE_UNDEFINED', `set was given undefined for ${entry.show()}.`)
      return value
    })
  }

  /** A key's windows. Each method reads when it is called. */
  get(key: K): KeyWindows<V, G> {
    return new KeyWindows(this.#readerOf(key))
  }

  /** The windows of the partitions that are here, each with its value, in the order of their starts within a partition. */
  async *entries(): AsyncGenerator<readonly [key: K, window: WindowValue<V>], undefined, undefined> {
    for await (const [row, value] of this.scan((bytes, found) => [bytes, found] as const))
      yield* this.#windows.read(row, value)
  }

  /** The windows of a key typed as text, for pages and commands. Throws as `get` does, and `KEY_INVALID`. */
  lookup(text: string, { committed, ...asked }: AskedWindows & ReadOptions = {}): unknown {
    const key = this.keyOf(text)
    return this.#shown(committed === true ? this.#committed(key, asked) : this.get(key).windows(asked), asked)
  }

  /**
   * The committed windows of a key, the oldest first, now and after each commit that changes one of them or deletes it when its
   * retention is over. As `Table.watch`.
   *
   * @example
   * for await (const windows of minutes.watch('milk', { signal })) screen.draw(windows)
   */
  watch(key: K, { signal }: WatchOptions = {}): AsyncGenerator<readonly WindowValue<V>[]> {
    return this.#watch(key, signal, () => this.#committed(key, {}))
  }

  /** The same for pages: of a key typed as text, what `lookup` gives. */
  watchText(text: string, { signal, ...asked }: AskedWindows & WatchOptions = {}): AsyncGenerator {
    const key = this.keyOf(text)
    return this.#watch(key, signal, () => this.#shown(this.#committed(key, asked), asked))
  }

  /** Whether `closed` gives a window, or has given it, in the task of the current event: no event changes it any more. */
  givesClosed(window: Window): boolean {
    if (!this.#isClosing()) return false
    const rows = readingEvent(this.storage)?.task.open(this)
    return rows instanceof WindowPartition && rows.hasClosed(this.#windows.timeOf(window))
  }

  override stats(): TableStats {
    const opened = this.#partitions()
    const oldest = opened.flatMap(({ oldestOpen }) => oldestOpen ?? [])
    const watermarks = opened.map(({ time }) => time.watermark).filter((time) => time !== -Infinity)
    return {
      ...super.stats(),
      late: this.#late.count,
      windows: {
        watermark: watermarks.length === 0 ? undefined : new Date(Math.min(...watermarks)).toISOString(),
        open: opened.reduce((sum, { open }) => sum + open, 0),
        closed: opened.reduce((sum, { due }) => sum + due.count, 0),
        oldestOpen: oldest.length === 0 ? undefined : new Date(Math.min(...oldest)).toISOString(),
      },
    }
  }

  /** Late events so far, in this process. */
  get late(): number {
    return this.#late.count
  }

  openState(context: OpenStateOptions): OpenState {
    return this.rows.open(context)
  }

  /** Throws `DEFINITION_INVALID` for a table with `partitioner: 'source'`. */
  partitionOf(key: Buffer): number | undefined {
    return this.rows.partitionOf(this.keyShape, key)
  }

  state(partition: number): OpenState | undefined {
    return this.rows.state(partition)
  }

  protected override keyIn(row: Buffer): Buffer | undefined {
    return this.#windows.keyIn(row)
  }

  #watch<T>(key: K, signal: AbortSignal | undefined, read: () => T): AsyncGenerator<T> {
    const { rows } = this.#windows.entry(key, undefined)
    return watchKey({
      watchers: this.watchers,
      rows: partitionOf({ rows }),
      key: this.keyShape.encode(key),
      read,
      signal,
    })
  }

  #committed(key: K, range: TimeRange): WindowValue<V>[] {
    this.uses.reads++
    return this.#windows.committed(key, range)
  }

  /** Windows as pages and commands show them. */
  #shown(windows: readonly WindowValue<V>[], { at }: AskedWindows): unknown {
    if (at === undefined) return windows.length === 0 ? undefined : windows
    return this.#windows.holding(windows, at)
  }

  #write(key: K, { at, copied }: WindowUpdateOptions<V>, change: ChangeIn<V>): number {
    const event = writingEvent(this.storage, this.keyShape.where)
    if (at === undefined && !event.hasOneTime)
      throw new MillraceError(
        'TIME_AMBIGUOUS',
        `A write to ${this.keyShape.where} in a batch of events with different times, beginning with ${event.topic}/${event.partition}@${event.offset}.`,
      )
    this.uses.addWrite(event.agent)
    // Rows are ordered by whole milliseconds.
    const eventTime = Math.floor(at ?? event.timestamp)
    if (!(eventTime >= 0))
      throw new MillraceError(
        'TIMESTAMP_INVALID',
        `The event ${event.topic}/${event.partition}@${event.offset} has the time ${eventTime}, which is in no window of ${this.keyShape.where}.`,
      )
    const { windows, missed } = this.#windows.write(
      key,
      eventTime,
      event,
      change,
      copied === undefined ? undefined : ({ value, ...window }) => copied(value, window),
    )
    if (windows === 0 && missed !== undefined) this.#late.hold(event, missed)
    return windows
  }

  #readerOf(key: K): KeyReader<V, G> {
    return {
      where: this.keyShape.where,
      eventTime: () => {
        const event = readingEvent(this.storage)
        if (event !== undefined) return event.timestamp
        const { watermark } = partitionOf(this.#windows.entry(key, undefined)).time
        return watermark === -Infinity ? this.#wallTime() : watermark
      },
      wallTime: () => this.#wallTime(),
      at: (time) => this.#at(key, time),
      windows: (range) => this.#windowsOf(key, range),
    }
  }

  #at(key: K, time: number): G {
    this.uses.reads++
    const { value, rows } = this.#windows.at(key, time, readingEvent(this.storage))
    return this.#values.given(value, rows)
  }

  #windowsOf(key: K, range: TimeRange): WindowValue<V>[] {
    this.uses.reads++
    return this.#windows.windows(key, range, readingEvent(this.storage))
  }

  #wallTime(): number {
    const worker = this.storage.getStore()?.client ?? this.#context.workers()[0]
    if (worker === undefined)
      throw new MillraceError('NO_WORKER', `A read of ${this.keyShape.where} in a process that runs no worker.`)
    return worker.clock.now()
  }

  #partitions(): readonly WindowPartition<unknown>[] {
    return this.rows.opened().flatMap((rows) => (rows instanceof WindowPartition ? [rows] : []))
  }
}

function windowRows<K, V>(spans: WindowDefinition<K, V>['spans'], options: WindowRowsOptions<K, V>): WindowRows<K, V> {
  if ('gapMs' in spans) return new SessionWindows(spans, options)
  return 'differenceMs' in spans ? new SlidingWindows(spans, options) : new FixedWindows(spans, options)
}
