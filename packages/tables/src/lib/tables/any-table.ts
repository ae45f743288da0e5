import type { RoutedTable, TaskPart } from '@millrace/core'
import type { ReplicatedTable } from '../global/replicated-table.ts'
import type { TableStats } from './table-stats.ts'

/** What listings, pages and commands use of a table, whatever its types. */
interface ListedTable {
  readonly name: string
  readonly help: string | undefined
  /** `Codec.name` of the keys. */
  readonly keyCodec: string
  /** `Codec.name` of the values, or of a set's elements. */
  readonly valueCodec: string
  /** Rows in the partitions that are here. Throws `NO_WORKER`. */
  readonly size: number
  stats(): TableStats
  /** What is under a key typed as text. Throws `KEY_INVALID`, `PARTITION_NOT_LOCAL`, `NO_WORKER`. */
  lookup(text: string): unknown
  /** Throws `NO_WORKER`. */
  entries(): AsyncIterableIterator<readonly [key: unknown, value: unknown]>
}

/** A table or set table of any type. */
export interface AnyTable extends ListedTable, TaskPart, RoutedTable {
  readonly name: string
}

/** A global table or global set table of any type. */
export interface AnyGlobalTable extends ListedTable, ReplicatedTable {
  readonly name: string
}
