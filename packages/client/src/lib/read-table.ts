import {
  didYouMean,
  errorText,
  MillraceError,
  assertRowFormat,
  silentSensor,
  type TopicPartition,
} from '@millrace/core'
import { readToEnd, type StorePartition } from '@millrace/core/driver'
import type { RowsRequest, TableReading, TableRows, WindowsRequest } from '@millrace/core/operations'
import type { OpenState, StateDefinition, WorkerContext } from '@millrace/worker'
import type { Connection, DeclaredTable, TaskTable } from './declared-app.ts'

/** What is open to read the one table. */
interface TableCopy {
  readonly part: StateDefinition | undefined
  readonly partitions: number
  readonly open: ReadonlyMap<number, OpenState>
}

const NO_COPY: TableCopy = { part: undefined, partitions: 0, open: new Map() }

/** One key's committed value, from the changelog. Throws `COMMAND_USAGE`, `KEY_INVALID`. */
export async function readTable(
  connection: Connection,
  {
    name,
    key,
    windows,
  }: { readonly name: string; readonly key: string; readonly windows?: WindowsRequest | undefined },
): Promise<TableReading> {
  const declared = tableNamed(connection, name)
  if (declared.kind === 'global') {
    return withReplica(connection, declared, async () => {
      const value = declared.table.lookup(key)
      return { found: isThere(value), value, partition: 0 }
    })
  }
  const { table } = declared
  const partitions = await connection.client.partitions(table.changelog.topic)
  const bytes = table.parseKey(key)
  const before = { ...NO_COPY, part: table, partitions }
  const partition = await within(connection, before, async () => table.partitionOf(bytes) ?? 0)
  return withPartition(connection, { table, partitions, partition }, async () => {
    const value = table.lookup(key, windows)
    // A default is not a row.
    const found = table.holds?.(key) ?? isThere(value)
    return { found, value: found ? value : undefined, partition }
  })
}

/** Committed rows, at most `limit`; those of a range in the order of their keys. Throws `COMMAND_USAGE`, `RANGE_UNORDERED`. */
export async function readRows(connection: Connection, name: string, request: RowsRequest): Promise<TableRows> {
  const { limit, prefix, from, to } = request
  const declared = tableNamed(connection, name)
  if (prefix !== undefined || from !== undefined || to !== undefined) return readRange(connection, declared, request)
  const rows: TableRows['rows'][number][] = []
  /** True if there are more rows than the limit. */
  const collect = async (partition: number): Promise<boolean> => {
    for await (const [key, value] of declared.table.entries()) {
      if (rows.length === limit) return true
      rows.push({ key, value, partition })
    }
    return false
  }
  if (declared.kind === 'global') return { rows, more: await withReplica(connection, declared, () => collect(0)) }
  const { table } = declared
  const partitions = await connection.client.partitions(table.changelog.topic)
  for (let partition = 0; partition < partitions; partition++)
    if (await withPartition(connection, { table, partitions, partition }, () => collect(partition)))
      return { rows, more: true }
  return { rows, more: false }
}

async function readRange(connection: Connection, declared: DeclaredTable, range: RowsRequest): Promise<TableRows> {
  const { table } = declared
  const found: TableRows['rows'][number][] = []
  const collect = async (partition: number): Promise<void> => {
    if (table.textRange === undefined)
      throw new MillraceError(
        'RANGE_UNORDERED',
        `Table "${table.name}" has no ranges: it is not a map from keys to values.`,
      )
    // One more than wanted, which shows that there are more.
    for await (const [key, value] of table.textRange({ ...range, limit: range.limit + 1 }))
      found.push({ key, value, partition })
  }
  if (declared.kind === 'global') await withReplica(connection, declared, () => collect(0))
  else {
    const partitions = await connection.client.partitions(declared.table.changelog.topic)
    for (let partition = 0; partition < partitions; partition++)
      await withPartition(connection, { table: declared.table, partitions, partition }, () => collect(partition))
  }
  const rows = found.toSorted((a, b) => Buffer.compare(Buffer.from(String(a.key)), Buffer.from(String(b.key))))
  return { rows: rows.slice(0, range.limit), more: rows.length > range.limit }
}

function isThere(value: unknown): boolean {
  return value !== undefined && !(Array.isArray(value) && value.length === 0)
}

function tableNamed({ app }: Connection, name: string): DeclaredTable {
  const tables = app.declared.tables()
  const found = tables.find(({ table }) => table.name === name)
  if (found !== undefined) return found
  const names = tables.map(({ table }) => table.name)
  throw new MillraceError('COMMAND_USAGE', `There is no table "${name}".${didYouMean(name, names)}`)
}

interface TablePartition {
  readonly table: TaskTable
  readonly partitions: number
  readonly partition: number
}

/** Runs `work` while one partition of the table can be read in this process. */
async function withPartition<T>(
  connection: Connection,
  { table, partitions, partition }: TablePartition,
  work: () => Promise<T>,
): Promise<T> {
  const store = await copyPartition(connection, { topic: table.changelog.topic, partition })
  const task = { id: `${partitions}-${partition}`, partitions, partition }
  const limits = { cacheBytes: 0, maxRowBytes: Infinity, freeze: false }
  const { clock } = connection.client
  const open = table.openState({ task, store, clock, ...limits, countChanged() {}, touch() {}, commitSoon() {} })
  try {
    return await within(connection, { part: table, partitions, open: new Map([[partition, open]]) }, work)
  } finally {
    open.close()
  }
}

/** Reads a compacted partition into memory up to its current end. */
async function copyPartition({ client, app }: Connection, source: TopicPartition): Promise<StorePartition> {
  const store = app.memoryStore()
  const copy = await store.open(source.topic, source.partition)
  for await (const { records } of readToEnd(client.reader('read-committed'), [source], client)) {
    for (const { headers, offset } of records) assertRowFormat(headers, source, offset)
    const rows = records.flatMap(({ key, value }) => (key === null ? [] : [{ key, value }]))
    await store.commit([{ partition: copy, rows, checkpoint: undefined }])
  }
  return copy
}

/** Runs `work` while this process has a copy of a global table. */
async function withReplica<T>(
  connection: Connection,
  { replica }: Extract<DeclaredTable, { kind: 'global' }>,
  work: () => Promise<T>,
): Promise<T> {
  const observer = observerOf(connection, NO_COPY)
  const part = replica()
  part.declare(observer, {
    topic() {},
    state() {},
    order() {},
    reads() {},
    subscribe: () => [],
    lead() {},
    beforeTask() {},
  })
  try {
    await part.start()
    return await inContextOf(connection, observer, work)
  } finally {
    await part.stop()
  }
}

function within<T>(connection: Connection, copy: TableCopy, work: () => Promise<T>): Promise<T> {
  return inContextOf(connection, observerOf(connection, copy), work)
}

/** Tables read from the context they run in: this observer, not a worker that the same process may run. */
function inContextOf<T>({ app }: Connection, observer: WorkerContext, work: () => Promise<T>): Promise<T> {
  return app.contexts.run({ client: observer, worker: observer, event: undefined, agent: undefined }, work)
}

/** A worker that runs no tasks: tables are read through it as through any other, from temporary copies. */
function observerOf({ client }: Connection, copy: TableCopy): WorkerContext {
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
    // An outside reader only wants committed rows.
    exactlyOnce: true,
    signal,
    draining: signal,
    openState: (part, partition) => (part === copy.part ? copy.open.get(partition) : undefined),
    openStates: (part) => (part === copy.part ? copy.open : NO_COPY.open),
    copyOf: () => undefined,
    partitionsOf: (part) => (part === copy.part ? copy.partitions : undefined),
    hold: () => {},
    fail: (error) => {
      throw new MillraceError('WORKER_FAILED', errorText(error), { cause: error })
    },
  }
}
