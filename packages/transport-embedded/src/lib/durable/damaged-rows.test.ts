import { closeSync, copyFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NO_HEADERS, systemClock, type Logger } from '@millrace/core'
import { EMPTY_GROUP } from '../log/group-state.ts'
import type { CheckedTable, TableKey } from './checked-table.ts'
import { LmdbBackend } from './lmdb-backend.ts'
import type { LmdbContents } from './lmdb-contents.ts'
import { openTables, type LmdbTables } from './lmdb-tables.ts'
import { dataPath } from './open-log.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const place = mkdtempSync(join(tmpdir(), 'millrace-rows-'))
const sound = join(place, 'sound')
let copies = 0

const member = {
  instanceId: undefined,
  topics: ['orders'],
  data: Buffer.from('what it tells'),
  joined: true,
  host: 'h',
  sessionTimeoutMs: 1000,
  rebalanceTimeoutMs: 1000,
}

async function openBackend(directory: string): Promise<LmdbBackend> {
  const backend = new LmdbBackend({ directory, durability: undefined }, { clock: systemClock(), log: silent })
  await backend.open(1000)
  return backend
}

function copyLog(): string {
  const directory = join(place, `copy ${++copies}`)
  mkdirSync(directory)
  for (const name of ['millrace-log.mdb', 'millrace-log.json']) copyFileSync(join(sound, name), join(directory, name))
  return directory
}

/** Changes a bit of a row wherever the file has it: `at` counts from the beginning of its value, or back into its key. */
function flip(directory: string, row: Buffer, at: number): void {
  const path = dataPath(directory)
  const bytes = readFileSync(path)
  const fd = openSync(path, 'r+')
  let found = 0
  for (let from = bytes.indexOf(row); from >= 0; from = bytes.indexOf(row, from + 1)) {
    writeSync(fd, Buffer.from([bytes.readUInt8(from + at) ^ 1]), 0, 1, from + at)
    found++
  }
  closeSync(fd)
  expect(found).toBeGreaterThan(0)
}

/** A row as the file has it. */
async function rowIn(directory: string, row: (tables: LmdbTables) => Buffer | undefined): Promise<Buffer> {
  const tables = openTables(dataPath(directory), 'disk')
  try {
    return row(tables) ?? expect.fail('There is no such row.')
  } finally {
    await tables.root.close()
  }
}

/** What opening the log in a directory throws, or `look` at it. */
async function errorOf(directory: string, look: (contents: LmdbContents) => unknown): Promise<unknown> {
  let backend: LmdbBackend | undefined
  try {
    backend = await openBackend(directory)
    backend.read(look)
    return undefined
  } catch (error) {
    return error
  } finally {
    await backend?.close()
  }
}

beforeAll(async () => {
  const backend = await openBackend(sound)
  await backend.write('quiet', (contents) => {
    contents.putTopic({ name: 'orders', id: 'id-of-orders', partitions: 3, config: { 'retention.ms': '1000' } })
    const topic = contents.topic('orders') ?? expect.fail('There is no topic.')
    for (let row = 0; row < 40; row++)
      contents.append(
        topic,
        2,
        Array.from({ length: 20 }, (_, i) => record(row, i)),
      )
    contents.putGroup('shop', { ...EMPTY_GROUP, generation: 7, members: new Map([['m-1', member]]) })
    contents.putBeats('shop', 'm-1', 41)
    contents.putCommitted('shop', { topic: 'orders', partition: 2, offset: 567, metadata: 'some metadata' })
    contents.putEpoch('shop-3-2', 12)
    contents.putFact(['last look'], Buffer.from('a fact of eight'))
  })
  await backend.close()
})

afterAll(() => rmSync(place, { recursive: true, force: true }))

function record(row: number, i: number) {
  const value = Buffer.from(`record ${row * 20 + i}`.padEnd(300, '.'))
  return { topic: 'orders', partition: 2, key: null, value, headers: NO_HEADERS, timestamp: 1 }
}

const topicOf = (contents: LmdbContents) => contents.topic('orders') ?? expect.fail('There is no topic.')

interface RowKind {
  readonly stored: (tables: LmdbTables) => Buffer | undefined
  readonly read: (contents: LmdbContents) => unknown
  /** What the message says of it. */
  readonly named: RegExp
}

function kind<K extends TableKey>(
  table: (tables: LmdbTables) => CheckedTable<K>,
  { key, read, named }: { readonly key: K; readonly read: RowKind['read']; readonly named: RegExp },
): RowKind {
  return { stored: (tables) => table(tables).sealed(key), read, named }
}

const kinds: Readonly<Record<string, RowKind>> = {
  topic: kind((t) => t.topics, { key: 'orders', read: (c) => c.topic('orders'), named: /topic "orders"/ }),
  bounds: kind((t) => t.bounds, {
    key: [1, 2],
    read: (c) => c.bounds(topicOf(c), 2),
    named: /partition 2 of topic number 1 begins and ends/,
  }),
  group: kind((t) => t.groups, { key: 'shop', read: (c) => c.group('shop'), named: /the state of group "shop"/ }),
  beats: kind((t) => t.beats, {
    key: ['shop', 'm-1'],
    read: (c) => c.beats('shop', 'm-1'),
    named: /member "m-1" of group "shop"/,
  }),
  offset: kind((t) => t.offsets, {
    key: ['shop', 'orders', 2],
    read: (c) => c.committedOffset('shop', 'orders', 2),
    named: /group "shop" has committed of topic "orders" partition 2/,
  }),
  'offsets of a group': kind((t) => t.offsets, {
    key: ['shop', 'orders', 2],
    read: (c) => c.committed('shop'),
    named: /group "shop" has committed of topic "orders" partition 2/,
  }),
  epoch: kind((t) => t.epochs, {
    key: 'shop-3-2',
    read: (c) => c.epoch('shop-3-2'),
    named: /transactional id "shop-3-2"/,
  }),
  fact: kind((t) => t.facts, { key: ['last look'], read: (c) => c.fact(['last look']), named: /the fact "last look"/ }),
}

describe('a row that has changed on disk', () => {
  it('is none in a sound log', async () => {
    expect(await errorOf(copyLog(), (contents) => Object.values(kinds).map(({ read }) => read(contents)))).toBe(
      undefined,
    )
  })

  for (const [name, { stored, read, named }] of Object.entries(kinds)) {
    it(`is found at the next opening, named, with the directory, whatever byte it is: ${name}`, async () => {
      const row = await rowIn(copyLog(), stored)
      for (const at of [0, Math.floor(row.length / 3), row.length - 5, row.length - 4, row.length - 1]) {
        const directory = copyLog()
        flip(directory, row, at)
        const error = await errorOf(directory, () => {})
        expect(error).toMatchObject({ code: 'LOG_CORRUPT', message: expect.stringMatching(named) })
        expect(error).toMatchObject({ message: expect.stringContaining(`"${directory}"`) })
      }
    })

    it(`is found when it is read from a log that is open: ${name}`, async () => {
      const directory = copyLog()
      const row = await rowIn(directory, stored)
      const backend = await openBackend(directory)
      flip(directory, row, 1)
      try {
        expect(() => backend.read(read)).toThrow(
          expect.objectContaining({ code: 'LOG_CORRUPT', message: expect.stringMatching(named) }),
        )
      } finally {
        await backend.close()
      }
    })

    it(`is found under a key that is not its own: ${name}`, async () => {
      const row = await rowIn(copyLog(), stored)
      const directory = copyLog()
      flip(directory, row, -2)
      expect(await errorOf(directory, () => {})).toMatchObject({
        code: 'LOG_CORRUPT',
        message: expect.stringContaining('is damaged or missing'),
      })
    })
  }

  it('is found if it is missing: the bounds of a partition', async () => {
    const directory = copyLog()
    const tables = openTables(dataPath(directory), 'disk')
    await tables.root.transaction(() => tables.bounds.remove([1, 2]))
    await tables.root.close()
    expect(await errorOf(directory, (contents) => contents.bounds(topicOf(contents), 2))).toMatchObject({
      code: 'LOG_CORRUPT',
      message: expect.stringMatching(/partition 2 of topic number 1/),
    })
  })

  it('is found in the place of other records, to which it would give wrong offsets', async () => {
    const directory = copyLog()
    const tables = openTables(dataPath(directory), 'disk')
    const misplaced = tables.records.get([1, 2, 700]) ?? expect.fail('There is no such row.')
    await tables.records.put([1, 2, 508], misplaced)
    await tables.root.close()
    const read = (offset: number) => (contents: LmdbContents) =>
      contents.slice(topicOf(contents), { partition: 2, offset }, { maxBytes: 1000, maxRecords: 5 })
    expect(await errorOf(directory, read(500))).toBeUndefined()
    expect(await errorOf(directory, read(510))).toMatchObject({
      code: 'LOG_CORRUPT',
      message: expect.stringMatching(/"orders" partition 2 from offset 508 on/),
    })
  })
})
