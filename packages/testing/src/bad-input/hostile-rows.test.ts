import { createApp, json } from '@millrace/app'
import { isMillraceError, type RawHeaders, toError } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { testApp, type TestApp } from '../lib/test-app.ts'

/** How many mutations an attack makes: a few among the quick tests, 10,000 with `MILLRACE_ATTACK=10000`. */
const ATTACKS: number = Number(process.env['MILLRACE_ATTACK'] ?? 200)

/** `MILLRACE_ATTACK_SEED` repeats a run. Shrinking stops in time for the report. */
const REPORT: { readonly seed?: number; readonly interruptAfterTimeLimit: number } = {
  ...(process.env['MILLRACE_ATTACK_SEED'] === undefined ? {} : { seed: Number(process.env['MILLRACE_ATTACK_SEED']) }),
  interruptAfterTimeLimit: 550_000,
}

const anyNumber = fc.nat(1 << 20)

/** One of these values with up to three of its bytes changed, left out, doubled or added. */
function mutatedBytes(valid: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const changes = fc.array(fc.tuple(anyNumber, anyNumber, anyNumber), { minLength: 1, maxLength: 3 })
  return fc.tuple(fc.constantFrom(...valid), changes).map(([bytes, list]) => list.reduce(changed, bytes))
}

function changed(bytes: Buffer, [where, how, which]: readonly [number, number, number]): Buffer {
  const at = where % (bytes.length + 1)
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (how % 4) {
    case 0:
      return Buffer.concat([before, Buffer.from([which & 0xff]), after.subarray(1)])
    case 1:
      return before
    case 2:
      return Buffer.concat([before, Buffer.from([which & 0xff, (which >> 8) & 0xff]), after])
    default:
      return Buffer.concat([bytes, after])
  }
}

const PARTITIONS = 2
/** Hostile rows that a worker finds when it starts. */
const AT_ONCE = 8

const Cart = z.object({ articles: z.array(z.string()) })
const INNOCENT = Array.from({ length: 12 }, (_, n) => `innocent-${n}`)
const TABLES = {
  counts: 'shop-counts-changelog',
  carts: 'shop-carts-changelog',
  seen: 'shop-seen-changelog',
  rates: 'shop-rates-global',
} as const
type TableName = keyof typeof TABLES

function shop() {
  const app = createApp({ id: 'shop' })
  const key = { key: 'string', partitions: PARTITIONS } as const
  const adds = app.topic('adds', { key: 'string', value: 'string', partitions: PARTITIONS })
  const counts = app.table('counts', { ...key, value: 'number', default: () => 0 })
  const carts = app.table('carts', { ...key, value: json(Cart) })
  const seen = app.setTable('seen', { ...key, value: 'number' })
  const rates = app.globalTable('rates', { ...key, value: 'number' })
  app.agent('add', adds, async (stream) => {
    for await (const [name, article] of stream.items()) {
      counts.update(name, (n) => n + 1)
      carts.set(name, { articles: [...(carts.get(name)?.articles ?? []), article] })
      seen.add(name, (counts.get(name) ?? 0) + seen.values(name).length)
      rates.set(name, counts.get(name))
    }
  })
  return { app, adds, tables: { counts, carts, seen, rates } }
}

/** A set's row key: the length of the key, the key, the element. */
function member(key: string, element: string, length: number = key.length): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  return Buffer.concat([bytes, Buffer.from(key), Buffer.from(element)])
}

const KEYS = ['a', 'innocent-1', '\ufffd', 'ü', '__proto__', '7', '01', '', 'x'.repeat(3_000)].map((text) =>
  Buffer.from(text),
)
const MEMBERS = [
  member('a', '1'),
  member('innocent-1', '77'),
  member('innocent-1', '01'),
  member('innocent-1', '', 4_000),
  member('innocent-1', '', 0xffff_ffff),
  member('', ''),
  Buffer.from('innocent-1'),
]
const VALUES = [
  '1',
  '-1',
  '1e999',
  '01',
  '{"articles":["tea"]}',
  '{"articles":[1]}',
  '"1"',
  'null',
  '[',
  '\u0001',
  '',
].map((text) => Buffer.from(text))
const BYTES = ['ff', 'fffe', 'efbfbd', 'eda080', '82a16101', '0000000001', '1f8b08', '3ff0000000000000'].map((hex) =>
  Buffer.from(hex, 'hex'),
)
/** Stands for a row of 900 kB, which a report of failure could not show. */
const OVERSIZED = Buffer.from('oversized')
const FORMATS = ['1', '0', '-1', '1.5', '2', '0x2', '', ' 1', '99999999999999999999', 'NaN', 'two', '1\u0000', '-0']

interface HostileRow {
  readonly table: TableName
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
  /** Whether it is written to a wrong partition. */
  readonly astray: boolean
}

function hostileRow(): fc.Arbitrary<HostileRow> {
  const bytes = (plain: readonly Buffer[]): fc.Arbitrary<Buffer> =>
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...plain) },
      { weight: 3, arbitrary: mutatedBytes(plain) },
      { weight: 2, arbitrary: fc.constantFrom(...BYTES) },
    )
  const value = fc.oneof(
    { weight: 12, arbitrary: bytes(VALUES) },
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constant(OVERSIZED) },
  )
  const headers: fc.Arbitrary<RawHeaders> = fc.oneof(
    { weight: 20, arbitrary: fc.constant<RawHeaders>([]) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...FORMATS).map((text): RawHeaders => [['millrace-row-format', Buffer.from(text)]]),
    },
    { weight: 1, arbitrary: fc.constant<RawHeaders>([['millrace-row-format', null]]) },
    { weight: 1, arbitrary: fc.constant<RawHeaders>([['other', Buffer.from('ff', 'hex')]]) },
  )
  const astray = fc.nat(9).map((n) => n === 0)
  const of = (table: TableName, key: fc.Arbitrary<Buffer | null>): fc.Arbitrary<HostileRow> =>
    fc.record({ table: fc.constant(table), key, value, headers, astray })
  const key = fc.oneof({ weight: 30, arbitrary: bytes(KEYS) }, { weight: 1, arbitrary: fc.constant(null) })
  return fc.oneof(of('counts', key), of('carts', key), of('rates', key), of('seen', bytes([...MEMBERS, ...KEYS])))
}

/** The key that determines the partition of a row, if the row has one. */
function partitionOf({ table, key }: Pick<HostileRow, 'table' | 'key'>): number {
  if (key === null) return 0
  const own = table !== 'seen' ? key : key.length < 4 ? key : key.subarray(4, 4 + key.readUInt32BE(0))
  return partitionForKey(own, PARTITIONS)
}

/** The key and the number of a set's row, which may be encoded differently than by the table: `01`. */
function memberOf(row: Buffer): readonly [string, number] {
  const end = 4 + row.readUInt32BE(0)
  return [row.toString('utf8', 4, end), Number(row.toString('utf8', end))]
}

/** The rows that a table should show, from the records of its topic, by partition and key. */
function rowsOf(t: TestApp, table: TableName): ReadonlyMap<string, { readonly key: Buffer; readonly value: Buffer }> {
  const rows = new Map<string, { key: Buffer; value: Buffer }>()
  for (const { partition, key, value } of t.log.records(TABLES[table])) {
    if (key === null) continue
    const place = `${partition}/${key.toString('hex')}`
    if (value === null) rows.delete(place)
    else rows.set(place, { key, value })
  }
  return rows
}

async function all<T>(entries: () => AsyncIterable<T>): Promise<readonly T[] | Error> {
  try {
    const read: T[] = []
    for await (const entry of entries()) read.push(entry)
    return read
  } catch (thrown) {
    return toError(thrown)
  }
}

function attempt<T>(read: () => T): T | Error {
  try {
    return read()
  } catch (thrown) {
    return toError(thrown)
  }
}

/** Checks that an error names its kind, the table and the key. */
function expectUndecodable(error: unknown, table: TableName): void {
  expect(isMillraceError(error, 'ROW_UNDECODABLE') ? error.message : error).toMatch(new RegExp(`table "${table}"`))
}

function isFormatKnown(headers: RawHeaders): boolean {
  const format = headers.find(([name]) => name === 'millrace-row-format')
  return format === undefined || format[1]?.toString() === '1'
}

async function startApp(): Promise<ReturnType<typeof shop> & { readonly t: TestApp }> {
  const made = shop()
  const t = await testApp(made.app)
  for (const key of INNOCENT) await t.send(made.adds, { key, value: 'tea' })
  await t.settle()
  await t.all[0]?.stop()
  return { ...made, t }
}

type Shop = Awaited<ReturnType<typeof startApp>>

async function write(t: TestApp, rows: readonly HostileRow[]): Promise<void> {
  for (const row of rows) {
    const { table, key, value, headers, astray } = row
    const partition = (partitionOf(row) + (astray ? 1 : 0)) % PARTITIONS
    const bytes = value?.equals(OVERSIZED) === true ? Buffer.alloc(900_000, '1') : value
    await t.write(TABLES[table], { key, value: bytes, headers, partition })
  }
}

/** Checks that reading shows exactly what the topic has, or reports the unreadable row. */
async function expectRightRows({ t, tables }: Shop): Promise<void> {
  for (const name of ['counts', 'carts', 'rates'] as const) {
    const rows = rowsOf(t, name)
    const table = tables[name]
    const read = (value: Buffer): unknown => (name === 'carts' ? JSON.parse : Number)(value.toString())
    expect(table.size).toBe(rows.size)
    const entries = await all<readonly [string, unknown]>(() => table.entries())
    if (entries instanceof Error) expectUndecodable(entries, name)
    else
      expect(entries.map(([key, value]) => [key, value]).toSorted()).toEqual(
        [...rows.values()].map(({ key, value }) => [key.toString(), read(value)]).toSorted(),
      )
    for (const key of INNOCENT) {
      const value = attempt(() => table.get(key))
      const row = rows.get(`${partitionForKey(Buffer.from(key), PARTITIONS)}/${Buffer.from(key).toString('hex')}`)
      if (value instanceof Error) expectUndecodable(value, name)
      else expect(value).toEqual(row === undefined ? (name === 'counts' ? 0 : undefined) : read(row.value))
    }
  }
  const seen = rowsOf(t, 'seen')
  expect(tables.seen.size).toBe(seen.size)
  const members = await all(() => tables.seen.entries())
  if (members instanceof Error) expectUndecodable(members, 'seen')
  else
    expect(members.map((each) => JSON.stringify(each)).toSorted()).toEqual(
      [...seen.values()].map(({ key }) => JSON.stringify(memberOf(key))).toSorted(),
    )
}

test(
  `${ATTACKS} hostile changelog rows: the worker names what it cannot read, and the rows of all other keys are right`,
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostileRow(), { minLength: AT_ONCE, maxLength: AT_ONCE }), async (rows) => {
        const made = await startApp()
        const { t } = made
        await using _closed = t
        await write(t, rows)
        const refused = rows.filter(({ key, headers }) => key !== null && !isFormatKnown(headers))
        const failed = await t.worker().then(
          () => undefined,
          (thrown: unknown) => toError(thrown),
        )
        if (refused.length > 0) {
          expect(String(failed)).toMatch(/(?:FORMAT_NEWER|ROW_UNDECODABLE): .*offset \d+ of shop-.*\/\d/)
          return
        }
        expect(failed).toBeUndefined()
        await expectRightRows(made)
        for (const key of INNOCENT)
          await t.write('adds', { key, value: 'milk', partition: partitionForKey(Buffer.from(key), PARTITIONS) })
        const ended = await t.settle().then(
          () => undefined,
          (thrown: unknown) => toError(thrown),
        )
        expect(t.log.records('shop-add-dlq')).toEqual([])
        if (ended !== undefined) {
          expect(ended.message).toMatch(
            /AGENT_FAILED: Agent "add" failed on adds\/\d at offset \d+, attempt 1: .*"innocent-\d+".* table "\w+"/,
          )
          expect(ended.cause).toMatchObject({ code: 'ROW_UNDECODABLE' })
          return
        }
        await t.advance('2s')
        await expectRightRows(made)
      }),
      { numRuns: Math.ceil(ATTACKS / AT_ONCE), ...REPORT },
    )
  },
)
