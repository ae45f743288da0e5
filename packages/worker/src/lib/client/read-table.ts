import {
  type ClientContext,
  errorText,
  MillraceError,
  nearestName,
  refuseNewerRow,
  type OpenState,
  type ContextStorage,
  silentSensor,
  type StoreDriver,
  type StorePartition,
  type TableReading,
  type TableRows,
  type StateDefinition,
  type TopicPartition,
  type WorkerContext,
} from '@millrace/core'
import type { DeclaredTable, TaskTable } from './declared-app.ts'

/** What it takes to read tables without a worker. */
export interface TableReader {
  readonly client: ClientContext
  readonly contexts: ContextStorage
  readonly tables: readonly DeclaredTable[]
  /** An empty store, for copies. */
  readonly memoryStore: () => StoreDriver
}

/** What is open of the one table that is read. */
interface TableCopy {
  readonly part: StateDefinition | undefined
  readonly partitions: number
  readonly open: ReadonlyMap<number, OpenState>
}

const NO_COPY: TableCopy = { part: undefined, partitions: 0, open: new Map() }

/** One key's committed value, from the changelog. Throws `COMMAND_USAGE`, `KEY_INVALID`. */
export async function readTable(reader: TableReader, name: string, key: string): Promise<TableReading> {
  const declared = tableNamed(reader.tables, name)
  if (declared.kind === 'global') {
    return withReplica(reader, declared, async () => {
      const value = declared.table.lookup(key)
      return { found: isThere(value), value, partition: 0 }
    })
  }
  const { table, kind } = declared
  const partitions = await reader.client.partitions(table.changelog.topic)
  const bytes = table.parseKey(key)
  const partition = await within(
    reader,
    { ...NO_COPY, part: table, partitions },
    async () => table.partitionOf(bytes) ?? 0,
  )
  return withPartition(reader, { table, partitions, partition }, async (store) => {
    const value = table.lookup(key)
    // A default is not a row.
    const found = kind === 'set' ? isThere(value) : store.get(bytes) !== undefined
    return { found, value: found ? value : undefined, partition }
  })
}

/** Committed rows, at most `limit`. Throws `COMMAND_USAGE`. */
export async function readRows(
  reader: TableReader,
  name: string,
  { limit }: { readonly limit: number },
): Promise<TableRows> {
  const declared = tableNamed(reader.tables, name)
  const rows: TableRows['rows'][number][] = []
  /** True when there are more than the limit. */
  const collect = async (partition: number): Promise<boolean> => {
    for await (const [key, value] of declared.table.entries()) {
      if (rows.length === limit) return true
      rows.push({ key, value, partition })
    }
    return false
  }
  if (declared.kind === 'global') return { rows, more: await withReplica(reader, declared, () => collect(0)) }
  const { table } = declared
  const partitions = await reader.client.partitions(table.changelog.topic)
  for (let partition = 0; partition < partitions; partition++)
    if (await withPartition(reader, { table, partitions, partition }, () => collect(partition)))
      return { rows, more: true }
  return { rows, more: false }
}

function isThere(value: unknown): boolean {
  return value !== undefined && !(Array.isArray(value) && value.length === 0)
}

function tableNamed(tables: readonly DeclaredTable[], name: string): DeclaredTable {
  const found = tables.find(({ table }) => table.name === name)
  if (found !== undefined) return found
  const nearest = nearestName(
    name,
    tables.map(({ table }) => table.name),
  )
  const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`
  throw new MillraceError('COMMAND_USAGE', `There is no table "${name}"${hint}.`)
}

interface TablePartition {
  readonly table: TaskTable
  readonly partitions: number
  readonly partition: number
}

/** Runs `work` while one partition of the table can be read in this process. */
async function withPartition<T>(
  reader: TableReader,
  { table, partitions, partition }: TablePartition,
  work: (store: StorePartition) => Promise<T>,
): Promise<T> {
  const store = await copyPartition(reader, { topic: table.changelog.topic, partition })
  const task = { id: `${partitions}-${partition}`, partitions, partition }
  const open = table.openState({ task, store, cacheBytes: 0, countChanged() {}, maxRowBytes: Infinity, freeze: false })
  try {
    return await within(reader, { part: table, partitions, open: new Map([[partition, open]]) }, () => work(store))
  } finally {
    open.close()
  }
}

/** Reads a compacted partition to its present end into memory. */
async function copyPartition({ client, memoryStore }: TableReader, source: TopicPartition): Promise<StorePartition> {
  const store = memoryStore()
  const copy = await store.open(source.topic, source.partition)
  const reader = client.reader('read-committed')
  try {
    const [offsets] = await reader.offsets([source])
    if (offsets === undefined || offsets.end === offsets.beginning) return copy
    reader.assign(source, offsets.beginning)
    for await (const { records, nextOffset } of reader.batches()) {
      for (const { headers, offset } of records) refuseNewerRow(headers, source, offset)
      const rows = records.flatMap(({ key, value }) => (key === null ? [] : [{ key, value }]))
      await store.commit([{ partition: copy, rows, checkpoint: undefined }])
      if (nextOffset >= offsets.end) return copy
    }
    throw new MillraceError('CLOSED', `Reading ${source.topic}/${source.partition} ended before its end.`)
  } finally {
    await reader.close()
  }
}

/** Runs `work` while this process has a copy of a global table. */
async function withReplica<T>(
  reader: TableReader,
  { replica }: Extract<DeclaredTable, { kind: 'global' }>,
  work: () => Promise<T>,
): Promise<T> {
  const observer = observerOf(reader, NO_COPY)
  const part = replica()
  part.declare(observer, { topic() {}, state() {}, subscribe: () => [], lead() {}, beforeTask() {} })
  try {
    await part.start()
    return await inScope(reader, observer, work)
  } finally {
    await part.stop()
  }
}

function within<T>(reader: TableReader, copy: TableCopy, work: () => Promise<T>): Promise<T> {
  return inScope(reader, observerOf(reader, copy), work)
}

/** Tables are read where the work is: at the observer, not at a worker that this process may run beside it. */
function inScope<T>({ contexts }: TableReader, observer: WorkerContext, work: () => Promise<T>): Promise<T> {
  return contexts.run({ client: observer, worker: observer, event: undefined, agent: undefined }, work)
}

/** A worker that runs nothing: tables are read through it as through any other, from copies made for the purpose. */
function observerOf({ client }: TableReader, copy: TableCopy): WorkerContext {
  const { signal } = new AbortController()
  return {
    id: client.id,
    appId: client.appId,
    clock: client.clock,
    log: client.log,
    redact: client.redact,
    send: (request) => client.send(request),
    partitions: (topic) => client.partitions(topic),
    createTopics: (specs) => client.createTopics(specs),
    reader: (isolation) => client.reader(isolation),
    sensor: silentSensor,
    // Only committed rows are of interest to someone who looks from outside.
    exactlyOnce: true,
    signal,
    draining: signal,
    openState: (part, partition) => (part === copy.part ? copy.open.get(partition) : undefined),
    openStates: (part) => (part === copy.part ? copy.open : NO_COPY.open),
    partitionsOf: (part) => (part === copy.part ? copy.partitions : undefined),
    fail: (error) => {
      throw new MillraceError('WORKER_FAILED', errorText(error), { cause: error })
    },
  }
}
