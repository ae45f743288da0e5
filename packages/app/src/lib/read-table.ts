import {
  MillraceError,
  nearestName,
  type ClientContext,
  type TableReading,
  type TableRows,
  type WorkerContext,
} from '@millrace/core'
import { globalTablesPart, SetTable, type AnyGlobalTable, type AnyTable } from '@millrace/tables'
import type { AppRuntime } from './app-runtime.ts'
import { copyPartition } from './copy-partition.ts'
import type { Definitions } from './definitions.ts'
import { observingContext } from './observing-context.ts'

/** What reading a table from outside a worker needs. */
export interface ReadTableDeps {
  readonly runtime: AppRuntime
  readonly client: ClientContext
  readonly definitions: Definitions
}

/** One key's committed value, from the changelog. Throws `COMMAND_USAGE`, `KEY_INVALID`. */
export async function readTable(deps: ReadTableDeps, name: string, key: string): Promise<TableReading> {
  const table = tableNamed(deps.definitions, name)
  if (!isPartitioned(table)) return readGlobal(deps, table, async () => readingOf(table.lookup(key), 0))
  const partitions = await deps.client.partitions(table.changelog.topic)
  const bytes = table.parseKey(key)
  const partition = await withPartition(deps, { table, partitions, partition: 0, empty: true }, () =>
    Promise.resolve(table.partitionOf(bytes) ?? 0),
  )
  return withPartition(deps, { table, partitions, partition, empty: false }, (get) => {
    const value = table.lookup(key)
    // A default is not a row.
    const found = table instanceof SetTable ? Array.isArray(value) && value.length > 0 : get(bytes) !== undefined
    return Promise.resolve({ found, value: found ? value : undefined, partition })
  })
}

/** Committed rows, at most `limit`. Throws `COMMAND_USAGE`. */
export async function readRows(
  deps: ReadTableDeps,
  name: string,
  { limit }: { readonly limit: number },
): Promise<TableRows> {
  const table = tableNamed(deps.definitions, name)
  const rows: TableRows['rows'][number][] = []
  const collect = async (partition: number): Promise<boolean> => {
    for await (const [key, value] of table.entries()) {
      if (rows.length === limit) return true
      rows.push({ key, value, partition })
    }
    return false
  }
  if (!isPartitioned(table)) return { rows, more: await readGlobal(deps, table, () => collect(0)) }
  const partitions = await deps.client.partitions(table.changelog.topic)
  for (let partition = 0; partition < partitions; partition++) {
    const more = await withPartition(deps, { table, partitions, partition, empty: false }, () => collect(partition))
    if (more) return { rows, more }
  }
  return { rows, more: false }
}

function readingOf(value: unknown, partition: number): TableReading {
  const found = value !== undefined && !(Array.isArray(value) && value.length === 0)
  return { found, value, partition }
}

function tableNamed({ tables, globalTables }: Definitions, name: string): AnyTable | AnyGlobalTable {
  const table = tables.get(name) ?? globalTables.get(name)
  if (table !== undefined) return table
  const nearest = nearestName(name, [...tables.keys(), ...globalTables.keys()])
  throw new MillraceError(
    'COMMAND_USAGE',
    `There is no table "${name}"${nearest === undefined ? '' : `; did you mean "${nearest}"?`}.`,
  )
}

function isPartitioned(table: AnyTable | AnyGlobalTable): table is AnyTable {
  return 'changelog' in table
}

interface PartitionToRead {
  readonly table: AnyTable
  readonly partitions: number
  readonly partition: number
  /** Without its rows: only to ask the table where keys belong. */
  readonly empty: boolean
}

/** Runs `work` while one partition of the table can be read in this process. */
async function withPartition<T>(
  { runtime, client }: ReadTableDeps,
  { table, partitions, partition, empty }: PartitionToRead,
  work: (get: (key: Buffer) => Buffer | undefined) => Promise<T>,
): Promise<T> {
  const store = empty ? undefined : await copyPartition(client, { topic: table.changelog.topic, partition })
  const task = { id: `${partitions}-${partition}`, partitions, partition }
  const part =
    store === undefined
      ? undefined
      : table.openPart({ task, store, cacheBytes: 0, countChanged: () => {}, maxRowBytes: Infinity, freeze: false })
  const open = part === undefined ? [] : [[partition, part] as const]
  const observer = observingContext(
    client,
    { part: table, partitions, open: new Map(open) },
    new AbortController().signal,
  )
  try {
    return await asObserver(runtime, observer, () => work((key) => store?.get(key)))
  } finally {
    part?.close()
  }
}

/** Runs `work` while this process has a copy of a global table. */
async function readGlobal<T>(
  { runtime, client }: ReadTableDeps,
  table: AnyGlobalTable,
  work: () => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  const observer = observingContext(client, { part: undefined, partitions: 0, open: new Map() }, abort.signal)
  const part = globalTablesPart([table])
  part.declare(observer, { topic: () => {}, part: () => {}, subscribe: () => [], lead: () => {}, beforeTask: () => {} })
  try {
    await part.start()
    return await asObserver(runtime, observer, work)
  } finally {
    await part.stop()
  }
}

/** Tables are read where the work is: at the observer, not at a worker that this process may run beside it. */
function asObserver<T>(runtime: AppRuntime, observer: WorkerContext, work: () => Promise<T>): Promise<T> {
  return runtime.scope.run({ client: observer, worker: observer, event: undefined, agent: undefined }, work)
}
