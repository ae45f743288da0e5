import { MillraceError } from '@millrace/core'
import type { StateCopy } from '@millrace/worker'
import { errorAnswer, PageError } from '../pages/page-error.ts'
import type { PageContext } from '../pages/page-context.ts'
import type { AskedWindows, PartitionedTable, SiteTable } from '../site-app.ts'
import { type EventPosition, readAfter, readKeyLevel, readMaxLag, waitForEvent } from './read-options.ts'
import { asksForRange, globalRangePage, rangePage } from './table-ranges.ts'
import { jsonPage, type BuiltInTools, type BuiltInPages } from './site-tools.ts'

interface TableListing {
  readonly name: string
  readonly kind: string
  readonly help: string
  readonly changelog: string
  /** Partitions on this worker. */
  readonly rows: number
  readonly partitions: readonly number[]
}

/** Tables and their rows; a value comes from the worker that has its key. */
export function tablePages(deps: BuiltInTools): BuiltInPages {
  return {
    '/table/': {
      help: 'Tables: name, kind, help, changelog, rows and partitions here.',
      page: jsonPage(() => listTables(deps)),
    },
    // Some keys cannot be part of a path: the empty key, and keys of one or two dots.
    '/table/:name/': {
      help: 'One table; with `?key=` as below, for keys that cannot be part of a path, or with `?jsonKey=`, the key as JSON. With `?prefix=`, or `?from=` (included) and `?to=` (excluded): rows in the order of their keys, from all workers, as `{ rows: [{ key, value }], cursor }`. `?limit=` of them, 100 if not given, at most 1,000; `?cursor=` goes on behind the last one, `?reverse=1` reads backwards. If no worker answers for a partition, 503, and the header `millrace-missing` names it; with `?partial=1` the other rows, and `missing` names the partitions. With `?all=1`: all rows, of a table with keys of any type, in the order of their keys’ bytes. `?read=` as below.',
      page: (c) => {
        const name = c.params['name'] ?? ''
        const key = askedKey(c)
        if (key !== undefined) return lookup(deps, c, key)
        return asksForRange(c) ? range(deps, c, name) : c.json(describeTable(deps, name))
      },
    },
    '/table/:name/:key/': {
      help: 'The value of a key as JSON, from the worker that has it; 404, and the header `millrace-error: NO_VALUE`, if the key has none. Of a windowed table: its windows; with `?at=`, or `?from=` and `?to=`, those of a time, in milliseconds since the epoch or as ISO text. `?read=finished` (if not given): as of the last finished event; `?read=committed`: as of the last commit. `?read=standby`: as of the last commit, or what a warm copy (`standbys`) has of it, from the worker that is asked or, while the one that has the key does not answer, from any; `?maxLag=` is how many changelog offsets the copy may lack, and the header `millrace-lag` says how many it does. `?after=topic/partition@offset`: once that event is finished, or committed; 504 if that takes longer than half of `web.routeTimeout`.',
      page: (c) => lookup(deps, c, () => c.params['key'] ?? ''),
    },
  }
}

/** The key that a request names, as the text that a table parses. Throws a `PageError` 400. */
export type AskedKey = (table: Pick<SiteTable, 'keyCodec'>) => string

/** `?key=`, which is text, or `?jsonKey=`, which programs use: they do not know the table's codec. */
export function askedKey({ query }: PageContext): AskedKey | undefined {
  const text = query.get('key')
  if (text !== null) return () => text
  const json = query.get('jsonKey')
  return json === null ? undefined : ({ keyCodec }) => textOfKey(parseKey(json), keyCodec)
}

/** Keys of text and bytes are typed as they are, all others as JSON. */
function textOfKey(key: unknown, keyCodec: string): string {
  return typeof key === 'string' && (keyCodec === 'string' || keyCodec === 'bytes') ? key : JSON.stringify(key)
}

function parseKey(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw new PageError(400, `?jsonKey=${json} is not JSON.`, { cause: error })
  }
}

/** Throws a `PageError` 404. */
export function partitionedTable({ site }: Pick<BuiltInTools, 'site'>, name: string): PartitionedTable {
  const table = site.definitions.tables.get(name)
  if (table === undefined) throw noTable(name)
  return table
}

async function lookup(deps: BuiltInTools, c: PageContext, key: AskedKey): Promise<Response> {
  const name = c.params['name'] ?? ''
  const level = readKeyLevel(c)
  const maxLag = readMaxLag(c, level)
  const after = readAfter(c)
  const options = { ...askedWindows(c), committed: level !== 'finished' }
  const show = (value: unknown): Response => {
    if (value !== undefined) return c.json(value)
    return errorAnswer(new PageError(404, `Table "${name}" has nothing under this key.`, { code: 'NO_VALUE' })).response
  }
  const answer = (table: SiteTable): Response => show(table.lookup(key(table), options))
  const whole = deps.site.definitions.globalTables.get(name)
  if (whole !== undefined) {
    refuseAfter(after, `the global table "${name}", which no task has`)
    return answer(whole)
  }
  const table = partitionedTable(deps, name)
  const text = key(table)
  const { clock, settings } = deps.site.surroundings
  if (level === 'standby') {
    refuseAfter(after, 'a read of warm copies, which may lack it')
    const copied = ({ rows }: StateCopy): Response => show(copyReader(table)(text, rows, clock))
    return deps.route.serve({ table, text, c, answer: () => answer(table), copy: { maxLag, answer: copied } })
  }
  if (after === undefined) return deps.route.serve({ table, text, c, answer: () => answer(table) })
  const wait = { table, key: table.parseKey(text), after, level, limitMs: settings.web.routeTimeoutMs / 2, clock }
  return deps.route.serve({
    table,
    text,
    c,
    answer: async () => {
      await waitForEvent(deps.workers, { ...wait, signal: c.signal })
      return answer(table)
    },
  })
}

/** Throws `READ_INVALID`. */
function copyReader(table: PartitionedTable): Required<SiteTable>['lookupCopy'] {
  if (table.lookupCopy !== undefined) return table.lookupCopy.bind(table)
  throw new MillraceError(
    'READ_INVALID',
    `?read=standby was given for table "${table.name}", of which warm copies answer no reads; plain tables can be read so.`,
  )
}

async function range(deps: BuiltInTools, c: PageContext, name: string): Promise<Response> {
  refuseAfter(readAfter(c), 'a range, which is in many tasks')
  const whole = deps.site.definitions.globalTables.get(name)
  return whole === undefined ? rangePage(deps, c, partitionedTable(deps, name)) : globalRangePage(deps, c, whole)
}

/** Throws a `PageError` 400. */
export function askedWindows(c: PageContext): AskedWindows {
  return { at: timeIn(c, 'at'), from: timeIn(c, 'from'), to: timeIn(c, 'to') }
}

/** Throws a `PageError` 400. */
function timeIn(c: PageContext, name: string): number | undefined {
  const text = c.query.get(name)
  if (text === null) return undefined
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isFinite(time)) return time
  throw new PageError(400, `?${name}=${text} is not a time: give milliseconds since the epoch, or ISO text.`)
}

/** Throws `READ_INVALID`. */
function refuseAfter(after: EventPosition | undefined, of: string): void {
  if (after !== undefined)
    throw new MillraceError('READ_INVALID', `?after= was given for ${of}; it is for the keys of other tables.`)
}

function describeTable(deps: BuiltInTools, name: string): TableListing {
  const found = listTables(deps).find((table) => table.name === name)
  if (found === undefined) throw noTable(name)
  return found
}

function listTables({ site, workers }: BuiltInTools): readonly TableListing[] {
  const states = workers.askedIfAny()?.stats().states ?? {}
  const all = new Map<string, SiteTable>([...site.definitions.tables, ...site.definitions.globalTables])
  return site.describe().tables.map(({ name, kind, help, changelog }) => ({
    name,
    kind,
    help,
    changelog,
    rows: workers.askedIfAny() === undefined ? 0 : (all.get(name)?.stats().rows ?? 0),
    partitions: states[name]?.partitions ?? [],
  }))
}

function noTable(name: string): PageError {
  return new PageError(404, `There is no table "${name}".`, { code: 'TABLE_MISSING' })
}
