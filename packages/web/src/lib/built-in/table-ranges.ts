import { toError } from '@millrace/core'
import type { PageContext } from '../pages/page-context.ts'
import { PageError, unavailable } from '../pages/page-error.ts'
import { type Owner, ownersOf } from '../routing/locate.ts'
import type { PartitionedTable, RowPage, SiteTable, SiteWorker, TextRange } from '../site-app.ts'
import { readLevel } from './read-options.ts'
import type { BuiltInTools } from './site-tools.ts'

/** Query parameters that make a request for a table one for a range of it. */
const PARAMETERS = ['prefix', 'from', 'to', 'limit', 'cursor', 'reverse', 'partial', 'read', 'all']
/** Set by a worker that asks another one: only for the rows that this one has. */
const HERE = 'here'
/** Response header: partitions that no worker answers for. */
const MISSING_HEADER = 'millrace-missing'
const DEFAULT_LIMIT = 100
const MOST_ROWS = 1000
/** Of the answer of another worker. */
const MOST_BYTES = 32 * 1024 * 1024

interface RangeRow {
  readonly key: unknown
  readonly value: unknown
  /** The bytes of the key, in hexadecimal; left out where keys are text. */
  readonly bytes?: string
}

/** What a request asks for: a range, whose keys are text, or all rows of any table. */
type AskedRows = { readonly limit: number; readonly reverse: boolean } & (
  | { readonly range: TextRange }
  | { readonly all: RowPage }
)

/** Rows that one worker has. */
interface Part {
  readonly rows: readonly RangeRow[]
  readonly partitions: readonly number[]
}

type Tools = Pick<BuiltInTools, 'site' | 'workers' | 'peers'>

export function asksForRange({ query }: PageContext): boolean {
  return PARAMETERS.some((name) => query.has(name))
}

/**
 * The rows of a range, in the order of their keys, from all workers that have some of them. A partition that no worker answers
 * for is 503, unless the request takes a part (`partial=1`); the answer then names what is missing.
 */
export async function rangePage(tools: Tools, c: PageContext, table: PartitionedTable): Promise<Response> {
  const range = rangeOf(c)
  const here = await partHere(tools, table, range)
  if (c.query.has(HERE)) return c.json(here)
  const worker = tools.workers.asked()
  const count = worker.context.partitionsOf(table)
  if (count === undefined) throw unavailable(`The partitions of table "${table.name}" are not known yet.`)
  const missing = Array.from({ length: count }, (_, partition) => partition).filter(
    (partition) => !here.partitions.includes(partition),
  )
  const others = await Promise.all(
    ownersOf(worker, count, missing).map((owner) => partOf(tools, { ...owner, worker, c, table })),
  )
  const found = new Set(others.flatMap(({ partitions }) => partitions))
  return answer(c, range, {
    rows: [here, ...others].flatMap(({ rows }) => rows),
    missing: missing.filter((partition) => !found.has(partition)),
    table,
  })
}

/** As `rangePage`, of a table that every worker has whole. */
export async function globalRangePage({ workers }: Tools, c: PageContext, table: SiteTable): Promise<Response> {
  const range = rangeOf(c)
  const rows = await workers.within(workers.asked(), () => rowsOf(table, range))
  return answer(c, range, { rows, missing: [], table })
}

function answer(
  c: PageContext,
  { limit, reverse, ...asked }: AskedRows,
  {
    rows: found,
    missing,
    table,
  }: { readonly rows: readonly RangeRow[]; readonly missing: readonly number[]; readonly table: SiteTable },
): Response {
  const isPartial = c.query.get('partial') === '1'
  if (missing.length > 0 && !isPartial)
    throw unavailable(
      `No worker answers for partition ${missing.join(', ')} of table "${table.name}"; with ?partial=1 the other rows are given.`,
      undefined,
      { code: 'PARTITIONS_MISSING', headers: { [MISSING_HEADER]: missing.join(',') } },
    )
  // Several workers may have answered for a partition that moves.
  const byKey = new Map(found.map((row) => [row.bytes ?? row.key, row]))
  const order = reverse ? -1 : 1
  const sorted = [...byKey.values()].toSorted((a, b) => order * Buffer.compare(bytesOf(a), bytesOf(b)))
  const page = sorted.slice(0, limit)
  const last = page.at(-1)
  const cursor = sorted.length <= limit || last === undefined ? {} : { cursor: last.bytes ?? last.key }
  const rows = 'all' in asked ? page.map(({ key, value }) => ({ key, value })) : page
  return c.json({ rows, ...cursor, ...(isPartial ? { missing } : {}) })
}

function bytesOf({ key, bytes }: RangeRow): Buffer {
  return bytes === undefined ? Buffer.from(String(key)) : Buffer.from(bytes, 'hex')
}

/** Throws a `PageError` 400, `READ_INVALID`. */
function rangeOf(c: PageContext): AskedRows {
  const { query } = c
  const text = query.get('limit')
  const limit = text === null ? DEFAULT_LIMIT : Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST_ROWS)
    throw new PageError(400, `?limit=${text ?? ''} is not a number from 1 to ${MOST_ROWS}.`)
  const committed = readLevel(c) === 'committed'
  const cursor = query.get('cursor') ?? undefined
  // One row more than was asked for: it shows whether there are more.
  if (query.get('all') === '1')
    return { limit, reverse: false, all: { after: bytesOfCursor(c, cursor), committed, limit: limit + 1 } }
  const reverse = query.get('reverse') === '1'
  const range = {
    prefix: query.get('prefix') ?? undefined,
    from: query.get('from') ?? undefined,
    to: query.get('to') ?? undefined,
    after: cursor,
    reverse,
    committed,
    limit: limit + 1,
  }
  return { limit, reverse, range }
}

function bytesOfCursor({ query }: PageContext, cursor: string | undefined): Buffer | undefined {
  for (const name of ['prefix', 'from', 'to', 'reverse'])
    if (query.has(name)) throw new PageError(400, `?all=1 is for all rows of a table, and ?${name}= for a range.`)
  if (cursor === undefined) return undefined
  if (/^(?:[0-9a-f]{2})*$/.test(cursor)) return Buffer.from(cursor, 'hex')
  throw new PageError(400, `?cursor=${cursor} is none that an answer to ?all=1 had.`)
}

async function rowsOf(table: SiteTable, asked: AskedRows): Promise<readonly RangeRow[]> {
  const rows: RangeRow[] = []
  if ('all' in asked) {
    if (table.rowsByBytes === undefined)
      throw new PageError(400, `Rows of table "${table.name}" cannot be listed: ask for its keys.`)
    for await (const [bytes, key, value] of table.rowsByBytes(asked.all))
      rows.push({ key, value, bytes: bytes.toString('hex') })
    return rows
  }
  if (table.textRange === undefined) throw new PageError(400, `Table "${table.name}" has no ranges.`)
  for await (const [key, value] of table.textRange(asked.range)) rows.push({ key, value })
  return rows
}

/** What the workers of this process have. */
async function partHere({ workers }: Tools, table: PartitionedTable, asked: AskedRows): Promise<Part> {
  const parts = await Promise.all(
    workers.all().map((worker) =>
      workers.within(worker, async () => ({
        partitions: [...worker.context.openStates(table).keys()],
        rows: await rowsOf(table, asked),
      })),
    ),
  )
  return { rows: parts.flatMap(({ rows }) => rows), partitions: parts.flatMap(({ partitions }) => partitions) }
}

/** What another worker has; nothing if it does not answer. */
async function partOf(
  { site, peers }: Tools,
  { worker, c, table, member, address }: Owner & { worker: SiteWorker; c: PageContext; table: PartitionedTable },
): Promise<Part> {
  const query = new URLSearchParams(c.query)
  query.set(HERE, '1')
  const path = `/table/${encodeURIComponent(table.name)}/?${query.toString()}`
  const { log, settings } = site.surroundings
  try {
    const limitMs = settings.web.routeTimeoutMs
    const response = await peers.ask({ worker, member, address, path, signal: c.signal, limitMs })
    const text = await readLimited(response)
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    return parsePart(JSON.parse(text))
  } catch (thrown) {
    if (c.signal.aborted) throw c.signal.reason
    log.warn(
      { table: table.name, member, reason: toError(thrown).message },
      'A worker did not give its rows of a range.',
    )
    return { rows: [], partitions: [] }
  }
}

async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MOST_BYTES) throw new Error(`its answer is longer than ${MOST_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Another release may answer otherwise. */
function parsePart(given: unknown): Part {
  if (typeof given === 'object' && given !== null && 'rows' in given && 'partitions' in given) {
    const { rows, partitions } = given
    if (Array.isArray(rows) && rows.every(isRow) && Array.isArray(partitions) && partitions.every(isNumber))
      return { rows, partitions }
  }
  throw new Error('its answer has no rows')
}

function isRow(given: unknown): given is RangeRow {
  return (
    typeof given === 'object' &&
    given !== null &&
    'key' in given &&
    'value' in given &&
    // Another release may send other bytes.
    ('bytes' in given ? typeof given.bytes === 'string' : typeof given.key === 'string')
  )
}

function isNumber(given: unknown): given is number {
  return typeof given === 'number'
}
