/// <reference types="node" preserve="true" />
export { KeyedPartition, memoryStore, type PartitionKey, type RowShape } from '@millrace/state'
export type { StateContext as TablesDeps } from '@millrace/state'
export { declareTables, type TableDeclarations } from './lib/declare-tables.ts'
export type { AppGlobalTable, AppTable } from './lib/declare-tables.ts'
export { globalTablesPart, type GlobalTablesOptions } from './lib/global/global-tables-part.ts'
export type { Replica, ReplicaContext, ReplicatedTable } from './lib/global/global-replica.ts'
export {
  createGlobalTable,
  GlobalTable,
  type AnyGlobalTable,
  type GlobalTableOf,
  type GlobalTableOptions,
} from './lib/global-table.ts'
export type { EncodedRow } from './lib/keyed-table.ts'
export type { RangeOptions } from './lib/row-ranges.ts'
export type { ReadOptions } from './lib/keyed-map.ts'
export type { WatchOptions } from './lib/watch/watch-key.ts'
export type { TableChange } from './lib/watch/watch-rows.ts'
export type { Fallback, GivenOf, KeyOf, RoundTrip, TableOptions, TableTopic, ValueOf } from './lib/options.ts'
export { createSetTable, GlobalSetTable, SetTable, type SetTableOptions } from './lib/set-table.ts'
export { createKeyTimers, type FiredTimer, KeyTimers, type KeyTimersOptions } from './lib/timers/key-timers.ts'
export type { PendingTimer } from './lib/timers/timer-shape.ts'
export { StreamWindows, type AppTables, type StreamWindowsSpec } from './lib/windows/stream-windows.ts'
export type { ViewDeclarations } from './lib/windows/views.ts'
export type { KeyWindows, TimeRange } from './lib/windows/key-windows.ts'
export type {
  ClosedWindow,
  LateSink,
  SessionOptions,
  Window,
  WindowOptions,
  WindowValue,
} from './lib/windows/window-options.ts'
export { WindowedTable, type WindowUpdateOptions, type WindowWriteOptions } from './lib/windows/windowed-table.ts'
export { createTable } from './lib/create-table.ts'
export { Table, type AnyTable, type TableOf } from './lib/table.ts'
export type { JoinTablesOptions, LeftRow, RightRow, TablesJoinKind } from './lib/joins/join-options.ts'
export type { JoinedSide } from './lib/joins/join-tables.ts'
export type { ChangeTopic } from './lib/joins/result-topic.ts'
export type { ReferredTable } from './lib/joins/foreign-key.ts'
export type { WatchedTable } from './lib/joins/table-of-tables.ts'
