import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Logger, systemClock } from '@millrace/core'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { createEmbeddedTransport } from '../embedded-transport.ts'
import { exportLog } from './export-log.ts'
import { importLog } from './import-log.ts'

/** How many mutations: a few among the quick tests, 10,000 with `MILLRACE_ATTACK=10000`. */
const ATTACKS = Number(process.env['MILLRACE_ATTACK'] ?? 200)
/** With `MILLRACE_ATTACK_SEED` the same once more. */
const SEED = process.env['MILLRACE_ATTACK_SEED']

const clock = systemClock()
const log: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const root = mkdtempSync(join(tmpdir(), 'millrace-hostile-text-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let directories = 0
const newDirectory = (): string => join(root, String(++directories))
const { signal } = new AbortController()

/** The lines of a log of two topics, without their end. */
const LINES: readonly unknown[] = [
  { millrace: 'log', version: 1, durability: 'process' },
  { topic: 't', id: '7', partitions: 2, config: { 'cleanup.policy': 'compact' } },
  { partition: 0, start: 5, end: 9 },
  {
    batch: 5,
    span: 3,
    appendedAt: 1764284400000,
    records: [
      [0, 7, 'aw==', null, [['h', 'dg==']]],
      [2, 7, null, 'dmFsdWU=', []],
    ],
  },
  { batch: 8, span: 1, appendedAt: 1764284400001, records: [] },
  { partition: 1, start: 0, end: 0 },
  { topic: 'u', id: '8', partitions: 1, config: {} },
  { partition: 0, start: 0, end: 1 },
  { batch: 0, span: 1, appendedAt: 1764284400000, records: [[0, 7, 'a2V5', 'dg==', []]] },
  { group: 'g', topic: 't', partition: 0, offset: 8, metadata: 'm1 a:0' },
]

const VALUES: readonly unknown[] = [
  ...[null, true, -1, 0, 1, 2, 3, 8, 0.5, 1e308, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, -0],
  ...[
    '',
    ' ',
    't',
    'u',
    '../t',
    '/etc/passwd',
    'a/b',
    '.',
    '..',
    'x'.repeat(3_000),
    '__proto__',
    'a\u0000b',
    'disk',
    '\ud800',
  ],
  ...['a', 'a*b=', 'dg', 'dg==\n', 'compact,delete', '-5', 'NaN', '99999999999999999999'],
  ...[[], {}, [[]], [[0]], [[0, 7, 'aw==', null, []]], { 'retention.ms': '1e9' }, { '': '' }],
]

const anyNumber = fc.nat(1 << 20)
const change = fc.tuple(anyNumber, anyNumber, anyNumber)

/** Lines of which up to three are changed in a part, left out, doubled or moved; their digest is right. */
const hostileText = fc
  .array(change, { minLength: 1, maxLength: 3 })
  .map((changes) => textOf(changes.reduce<readonly unknown[]>(mutated, LINES)))

/** The text with these lines, and the digest that belongs to them. */
function textOf(contents: readonly unknown[]): string {
  const lines = contents.map((line) => `${JSON.stringify(line)}\n`)
  const records = lines.reduce((sum, line) => sum + recordsIn(line), 0)
  const sha256 = createHash('sha256').update(lines.join('')).digest('hex')
  return `${lines.join('')}${JSON.stringify({ summary: { records, sha256 } })}\n`
}

function mutated(
  lines: readonly unknown[],
  [where, how, which]: readonly [number, number, number],
): readonly unknown[] {
  const at = where % lines.length
  const line = lines[at]
  switch (how % 8) {
    case 0:
      return lines.toSpliced(at, 1)
    case 1:
      return lines.toSpliced(at, 0, line)
    case 2:
      return lines.toSpliced(at, 1).toSpliced(which % lines.length, 0, line)
    default: {
      const copy = structuredClone(line)
      const places = placesIn(copy)
      const [hold, key] = places[which % places.length] ?? [{}, '']
      const value = structuredClone(VALUES[(how >> 3) % VALUES.length])
      Object.defineProperty(hold, key, { value, enumerable: true, configurable: true, writable: true })
      return lines.with(at, copy)
    }
  }
}

function placesIn(value: unknown): readonly (readonly [hold: object, key: string])[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, part]) => [[value, key] as const, ...placesIn(part)])
}

function recordsIn(line: string): number {
  const json: unknown = JSON.parse(line)
  const records = typeof json === 'object' && json !== null && 'batch' in json && 'records' in json ? json.records : []
  return Array.isArray(records) ? records.length : 0
}

async function* pieces(text: string): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
}

async function exported(directory: string): Promise<string> {
  const all: Buffer[] = []
  await exportLog({ directory, clock, timeoutMs: 5000 }, async (piece) => void all.push(piece), signal)
  return Buffer.concat(all).toString()
}

/** Reads whatever is in a log, as any process would that opens it. */
async function readAll(directory: string, durability: 'disk' | 'process'): Promise<void> {
  const transport = createEmbeddedTransport({ directory, durability }, { clock, log })
  await transport.connect({ timeoutMs: 5000 })
  try {
    const topics = await transport.admin().topics()
    for (const { name: topic, partitions } of topics)
      for (let partition = 0; partition < partitions; partition++) {
        const [bounds] = await transport.admin().offsets([{ topic, partition }], 'read-committed')
        if (bounds === undefined || bounds.beginning === bounds.end) continue
        const reader = transport.reader({ isolation: 'read-committed' })
        reader.assign({ topic, partition }, bounds.beginning)
        for await (const { nextOffset } of reader.batches()) if (nextOffset >= bounds.end) break
        await reader.close()
      }
    await transport.admin().committed('g')
  } finally {
    await transport.close()
  }
}

test(
  `${ATTACKS} hostile texts whose digests are right: each is refused and leaves nothing, or is a log that is read and exported as it came`,
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(hostileText, async (text) => {
        const directory = newDirectory()
        const failed = await importLog(pieces(text), { directory, signal }).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        if (failed !== undefined) {
          expect(failed).toMatchObject({
            code: expect.stringMatching(/^(?:LOG_TEXT_BROKEN|FORMAT_NEWER)$/),
            message: expect.stringMatching(/[Ll]ine \d+|has format|has changed/),
          })
          expect(readdirSync(directory)).toEqual([])
          return
        }
        await readAll(directory, text.includes('"durability":"disk"') ? 'disk' : 'process')
        const again = newDirectory()
        const text2 = await exported(directory)
        await importLog(pieces(text2), { directory: again, signal })
        expect(await exported(again)).toBe(text2)
        const bodies = (whole: string): readonly string[] => whole.split('\n').slice(1, -2).map(canonical).toSorted()
        expect(bodies(text2)).toEqual([...new Set(bodies(text))])
        rmSync(again, { recursive: true })
        rmSync(directory, { recursive: true })
      }),
      { numRuns: ATTACKS, interruptAfterTimeLimit: 550_000, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
    )
  },
)

/** The contents of a line, whatever the order of its names. */
function canonical(line: string): string {
  const json: Readonly<Record<string, unknown>> = JSON.parse(line)
  return JSON.stringify(Object.entries(json).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

test.each([0, 2 ** 31, 2 ** 53 - 1])(
  'a topic of %d partitions is refused before any of them is written',
  async (partitions) => {
    const directory = newDirectory()
    const text = textOf([LINES[0], { topic: 't', id: '7', partitions, config: {} }])
    await expect(importLog(pieces(text), { directory, signal })).rejects.toMatchObject({
      code: 'LOG_TEXT_BROKEN',
      message: expect.stringContaining(`has ${partitions} partitions`),
    })
    expect(readdirSync(directory)).toEqual([])
  },
)

test('an endless line is refused before it fills memory', async () => {
  const directory = newDirectory()
  let given = 0
  async function* endless(): AsyncGenerator<Buffer> {
    yield Buffer.from(`${JSON.stringify(LINES[0])}\n{"topic":"`)
    const piece = Buffer.alloc(16 * 1024 * 1024, 'x')
    for (;;) {
      given += piece.length
      yield piece
    }
  }
  await expect(importLog(endless(), { directory, signal })).rejects.toMatchObject({
    code: 'LOG_TEXT_BROKEN',
    message: expect.stringContaining('longer than'),
  })
  expect(given).toBeLessThan(300 * 1024 * 1024)
  expect(readdirSync(directory)).toEqual([])
})

test.skipIf(process.platform === 'win32').each(['millrace-log.json', 'millrace-log.mdb'])(
  'a dangling link in place of %s is refused, and nothing is written to its target',
  async (name) => {
    const directory = newDirectory()
    const text = LINES.map((line) => `${JSON.stringify(line)}\n`).join('')
    const whole = `${text}${JSON.stringify({ summary: { records: 3, sha256: createHash('sha256').update(text).digest('hex') } })}\n`
    mkdirSync(directory)
    const target = join(root, `elsewhere-${directories}`)
    symlinkSync(target, join(directory, name))
    await expect(importLog(pieces(whole), { directory, signal })).rejects.toMatchObject({ code: 'LOG_EXISTS' })
    expect(existsSync(target)).toBe(false)
    expect(readdirSync(directory)).toEqual([name])
  },
)
