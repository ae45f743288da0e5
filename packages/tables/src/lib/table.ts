import type { Clock, CodecSpec, Duration, Named } from '@millrace/core'
import type { OpenState, OpenStateOptions, RoutedTable, StateCopy, StateDefinition, TableStats } from '@millrace/worker'
import { changelogOf, codecShape, TaskLocator, type StateContext } from '@millrace/state'
import { KeyedMap } from './keyed-map.ts'
import type { ListedTable } from './keyed-table.ts'
import type { Fallback, GivenOf, KeyOf, TableDefinition, ValueOf } from './options.ts'
import { NO_APP, type ViewDeclarations, windowView } from './windows/views.ts'
import type { SessionOptions, WindowKind, WindowOptions } from './windows/window-options.ts'
import type { WindowedTable } from './windows/windowed-table.ts'

/**
 * A map from keys to values that agents write, split into partitions as its source topics are and kept in a changelog
 * topic. A descriptor: its rows are in the tasks of whatever workers run. Made by `createTable`.
 *
 * @example
 * const counts = app.table('word_counts', { key: 'string', value: 'number', default: () => 0 })
 */
export class Table<K, V, G extends V | undefined = V | undefined>
  extends KeyedMap<K, V, G>
  implements StateDefinition, RoutedTable
{
  readonly changelog: StateDefinition['changelog']
  readonly partitions: number | undefined
  readonly standbys: number | undefined
  readonly sizedAs: readonly string[] | undefined
  readonly besides: readonly StateDefinition[] | undefined = undefined
  /** For joins: each worker has the rows of its partitions. */
  readonly isGlobal = false
  /** How many partitions it was declared with, itself or the topic that it is. */
  readonly declaredPartitions: number | undefined
  /** The agent that alone writes it, where the table is a topic. */
  readonly writer: string | undefined = undefined
  protected override readonly rows: TaskLocator<K, V>
  readonly #declared: { context: StateContext; views: ViewDeclarations; table: TableDefinition<K, V> }
  readonly #views: WindowedTable<K, V, G>[] = []

  constructor(context: StateContext, definition: TableDefinition<K, V>, views: ViewDeclarations = NO_APP) {
    const shape = codecShape(definition)
    super(context, shape, definition)
    this.#declared = { context, views, table: definition }
    this.changelog = changelogOf(context.appId, definition.name)
    this.partitions = definition.partitions
    this.standbys = definition.standbys
    this.declaredPartitions = definition.partitions ?? definition.from?.declaration.partitions
    this.sizedAs = definition.from === undefined ? definition.sizedAs : [definition.from.name]
    this.rows = new TaskLocator({ definition: this, shape, context, anywhere: definition.partitioner === 'source' })
  }

  /**
   * The table's values by windows of this size, one after the other on the grid of the epoch. A state of its own, in which
   * an event counts in the window of its time; the table itself stays as it is.
   *
   * @throws `WINDOW_INVALID` for lengths that make no sense, `NAME_TAKEN`, `DEFINITION_LATE`
   * @example
   * const minutes = counts.tumbling('1m', { grace: '10s' })
   */
  tumbling<const N extends string = string>(
    size: Duration,
    options: WindowOptions<K, V, N> = {},
  ): Named<WindowedTable<K, V, G>, N> {
    return this.#view({ kind: 'tumbling', size }, options)
  }

  /**
   * As `tumbling`, with a window of this size every so often: they overlap, and an event counts in each that holds its
   * time. Throws as `tumbling` does.
   *
   * @example
   * const lastHour = counts.hopping('1h', '5m')
   */
  hopping<const N extends string = string>(
    size: Duration,
    every: Duration,
    options: WindowOptions<K, V, N> = {},
  ): Named<WindowedTable<K, V, G>, N> {
    return this.#view({ kind: 'hopping', size, every }, options)
  }

  /**
   * The table's values by windows that slide with the events: for each event of a key the window that ends with it, as long as
   * `difference`, and once that has events the one that begins right after it. Both ends belong to a window. An event more than
   * `grace` behind the watermark is late for all of them. Throws as `tumbling` does.
   *
   * @example
   * const lastMinute = counts.sliding('1m', { grace: '10s' })
   */
  sliding<const N extends string = string>(
    difference: Duration,
    options: WindowOptions<K, V, N> = {},
  ): Named<WindowedTable<K, V, G>, N> {
    return this.#view({ kind: 'sliding', difference }, options)
  }

  /**
   * The table's values by sessions: a session ends when a key has had no event for the gap. An event belongs to the sessions
   * that are within the gap of its time; if there are two, `merge` makes one of them. Throws as `tumbling` does.
   *
   * @example
   * const visits = counts.session('30m', { merge: (a, b) => a + b })
   */
  session<const N extends string = string>(
    gap: Duration,
    { merge, ...options }: SessionOptions<K, V, N>,
  ): Named<WindowedTable<K, V, G>, N> {
    return this.#view({ kind: 'session', gap, merge }, options)
  }

  /** The value that a key typed as text has in a warm copy, for pages. Throws `KEY_INVALID`, `ROW_UNDECODABLE`. */
  lookupCopy(text: string, rows: StateCopy['rows'], _clock: Pick<Clock, 'now'>): G {
    const key = this.parseKey(text)
    const bytes = rows.get(key)
    // G is V exactly when there is a fallback: `createTable` derives both from the same options.
    return (bytes === undefined ? this.#declared.table.fallback?.() : this.decodeValue(bytes, key)) as G
  }

  override stats(): TableStats {
    return { ...super.stats(), late: this.#views.reduce((sum, { late }) => sum + late, 0) }
  }

  #view<N extends string>(kind: WindowKind<V>, options: WindowOptions<K, V, N>): Named<WindowedTable<K, V, G>, N> {
    const view = windowView<K, V, G>(this.#declared, kind, options)
    this.#views.push(view)
    // Its name is the one that was given, if any.
    return view as Named<WindowedTable<K, V, G>, N>
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
}

/** A table or set table of any type. */
export interface AnyTable extends ListedTable, StateDefinition, RoutedTable {
  readonly name: string
}

/** The type of the table that `createTable` makes. */
export type TableOf<KS extends CodecSpec, VS extends CodecSpec, D extends Fallback<VS>> = Table<
  KeyOf<KS>,
  ValueOf<VS>,
  GivenOf<VS, D>
>
