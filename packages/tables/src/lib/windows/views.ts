import { MillraceError } from '@millrace/core'
import type { StateContext } from '@millrace/state'
import type { DueSource } from '@millrace/worker'
import type { TableDefinition, TableTopic } from '../options.ts'
import { type ClosedWindow, readWindows, type WindowKind, type WindowOptions } from './window-options.ts'
import { WindowedTable } from './windowed-table.ts'

/** Where the views of an app's tables are declared. */
export interface ViewDeclarations {
  /** As `DefinedNames.add`. */
  add<K, V, G extends V | undefined>(name: string, make: () => WindowedTable<K, V, G>): WindowedTable<K, V, G>
  /** Declares an agent that calls `handle` with each closed window of a view of `table`. */
  onClose<K, V>(
    table: string,
    closed: DueSource<K, ClosedWindow<K, V>>,
    handle: (closed: ClosedWindow<K, V>) => unknown,
  ): void
  /** Declares an agent of this name that calls `write` with each record of a topic; `null` for a tombstone. */
  fill<K, V>(agent: string, topic: TableTopic<K, V>, write: (key: K, value: V | null) => void): void
  /**
   * Declares an agent of this name with a topic of its own, whose records `handle` gets. The topic has as many partitions as the
   * table of this name. Returns the topic's name.
   */
  consume(agent: string, table: string, handle: (key: Buffer, value: Buffer) => void): string
}

/** For tables without an app. */
export const NO_APP: ViewDeclarations = {
  add: (_name, make) => make(),
  onClose: (table) => {
    throw new MillraceError(
      'DEFINITION_INVALID',
      `onWindowClose of table "${table}" needs the agents of an app: make the table with app.table.`,
    )
  },
  consume: (agent) => {
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${agent}" would join tables, and needs an app: join them with app.joinTables.`,
    )
  },
  fill: (agent) => {
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${agent}" would fill a table from a topic, and needs an app: make the table with app.table.`,
    )
  },
}

/** A view of a table by windows. Throws what `table.tumbling` says. */
export function windowView<K, V, G extends V | undefined>(
  { context, views, table }: { context: StateContext; views: ViewDeclarations; table: TableDefinition<K, V> },
  kind: WindowKind<V>,
  options: WindowOptions<K, V>,
): WindowedTable<K, V, G> {
  const windows = readWindows(table, kind, options)
  const view = views.add(windows.name, () => new WindowedTable<K, V, G>(context, table, windows))
  if (windows.onWindowClose !== undefined) views.onClose(table.name, view.closed, windows.onWindowClose)
  return view
}
