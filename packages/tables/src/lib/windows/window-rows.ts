import {
  type CodecKeys,
  codecRows,
  type KeyEntry,
  type KeyShape,
  type RowShape,
  type StateContext,
  TaskLocator,
  type StateShape,
  type WindowKey,
  WindowPartition,
  type WindowRules,
} from '@millrace/state'
import type { CurrentEvent, StateDefinition } from '@millrace/worker'
import type { TableDefinition } from '../options.ts'
import type { TimeRange } from './key-windows.ts'
import type { MissedWindow } from './late-events.ts'
import type { Window, WindowDefinition, WindowValue } from './window-options.ts'

/** How an event changes the value of one window. `entry` is the row. */
export type ChangeIn<V> = (before: V | undefined, window: Window, entry: KeyEntry<unknown>) => V

/** The result of a write. */
export interface Written {
  /** The number of windows that were changed. */
  readonly windows: number
  /** The last window that was closed. */
  readonly missed: MissedWindow | undefined
}

/** A value that was found in a window, with the rows that hold it. */
export interface FoundValue<V> {
  readonly value: V | undefined
  readonly rows: KeyEntry<unknown>['rows']
}

/** The windows of one table, of one kind, in their rows. */
export interface WindowRows<K, V> {
  readonly locator: TaskLocator<never, unknown>
  /** The value of a window, as it was encoded. */
  decode(value: Buffer, window: Pick<Window, 'start'>, key: Buffer): V
  /** The time of the rows in which a window is. */
  timeOf(window: Window): number
  /** Any row of the key, for its partition. */
  entry(key: K, event: CurrentEvent | undefined): KeyEntry<unknown>
  /**
   * Changes a key in all windows of a time that are open for the event. `copied` is called with each new window that has its
   * value from another one, and does not hold the event that has made it.
   */
  write(
    key: K,
    time: number,
    event: CurrentEvent,
    change: ChangeIn<V>,
    copied?: (window: WindowValue<V>) => void,
  ): Written
  /** The value in the newest window of a time. */
  at(key: K, time: number, event: CurrentEvent | undefined): FoundValue<V>
  /** Windows that overlap the range, the oldest first; all of a time with `at`. */
  windows(key: K, range: TimeRange, event: CurrentEvent | undefined): WindowValue<V>[]
  /** The same, as of the last commit. */
  committed(key: K, range: TimeRange): WindowValue<V>[]
  /** The key, encoded, of a row of its windows. */
  keyIn(row: Buffer): Buffer | undefined
  /** The newest of these windows that holds a time. */
  holding(windows: readonly WindowValue<V>[], time: number): WindowValue<V> | undefined
  /** The windows of a row that was found. */
  read(row: Buffer, value: unknown): readonly (readonly [key: K, window: WindowValue<V>])[]
}

/** Options of the rows of a windowed table. */
interface ViewOptions {
  readonly state: StateDefinition
  readonly context: StateContext
  readonly table: { readonly partitioner: 'key' | 'source'; readonly keyCodec: { readonly name: string } }
  /** Whether an agent reads the closed windows. */
  readonly isClosing: () => boolean
}

export interface WindowRowsOptions<K, V> extends ViewOptions {
  readonly keys: CodecKeys<K>
  readonly table: TableDefinition<K, V>
  readonly windows: WindowDefinition<K, V>
}

/** The values of windows that have a start in the keys of their rows. `migrate` gets the key of the table, without it. */
export function valuesByStart<K, V>(keys: KeyShape<WindowKey<K>>, table: TableDefinition<K, V>): RowShape<V> {
  const { migrate } = table
  return codecRows<WindowKey<K>, V>(keys, {
    ...table,
    migrate: migrate === undefined ? undefined : (raw, { key }) => migrate(raw, key),
  })
}

/** Finds the partitions of windows with these rows. */
export function windowLocator<R, RV>(
  { state, context, table, isClosing }: ViewOptions,
  shape: StateShape<R, RV>,
  rules: Omit<WindowRules<RV>, 'isClosing' | 'keyCodec'>,
): TaskLocator<R, RV> {
  return new TaskLocator<R, RV>({
    definition: state,
    shape,
    context,
    anywhere: table.partitioner === 'source',
    make: (rows, options) =>
      new WindowPartition(rows, options, { ...rules, keyCodec: table.keyCodec.name, isClosing: isClosing() }),
  })
}

/** All rows of windows are in a `WindowPartition`. */
export function partitionOf<V>({ rows }: { readonly rows: KeyEntry<V>['rows'] }): WindowPartition<V> {
  if (rows instanceof WindowPartition) return rows
  throw new Error(`The rows of ${rows.where} have no windows.`)
}
