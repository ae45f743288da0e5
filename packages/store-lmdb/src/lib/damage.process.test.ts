import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLmdbStore } from './lmdb-store.ts'
import { runProcess } from './fixtures/run-process.ts'

let directory: string
let data: string

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  data = join(directory, 'data.mdb')
  const store = createLmdbStore({ directory })
  const partition = await store.open('counts', 0)
  const rows = Array.from({ length: 20_000 }, (_, i) => ({
    key: Buffer.from(`key ${i}`),
    value: Buffer.alloc(100, i % 10 === 5 ? '9' : 'x'),
  }))
  await store.commit([{ partition, rows, checkpoint: { topicId: 'topic', offset: 7, wallTimeMs: 0 } }])
  await store.close()
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

const failing = (code: string, message: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

// Opened by LMDB itself, each of these ends the process with a signal, or silently starts an empty store.
test.each<readonly [string, () => void, string]>([
  ['cut in half', () => truncateSync(data, statSync(data).size / 2), 'cut off'],
  ['cut to one page', () => truncateSync(data, 4096), 'second page'],
  ['the last page missing', () => truncateSync(data, statSync(data).size - 4096), 'cut off'],
  ['emptied', () => truncateSync(data, 0), 'empty'],
  ['gone', () => rmSync(data), 'missing'],
  ['a text file', () => writeFileSync(data, 'no database\n'.repeat(1000)), 'first page'],
  ['garbage in front', () => overwrite(0, Buffer.alloc(200, 0x5a)), 'first page'],
  ['garbage for roots', () => overwrite(16_384, Buffer.alloc(statSync(data).size - 16_384, 0x5a)), 'page'],
  ['another checkpoint', () => replace('["topic",7', '["topic",8'), 'fact'],
  [
    'a marker that is no marker',
    () => writeFileSync(join(directory, 'millrace-store.json'), '{'),
    'millrace-store.json',
  ],
])('%s is STORE_CORRUPT, with advice', (_name, damage, message) => {
  damage()
  expect(() => createLmdbStore({ directory })).toThrow(failing('STORE_CORRUPT', message))
  expect(() => createLmdbStore({ directory })).toThrow('Delete its directory')
})

test('a partition with a row changed on disk starts empty with a reason, even after the next start, and the others stay', async () => {
  const before = createLmdbStore({ directory })
  const other = await before.open('counts', 1)
  await before.commit([
    { partition: other, rows: [{ key: Buffer.from('k'), value: Buffer.from('v') }], checkpoint: undefined },
  ])
  await before.close()
  replace(`key 12345${'9'.repeat(20)}`, `key 12345${'9'.repeat(19)}?`)
  for (let start = 0; start < 2; start++) {
    const store = createLmdbStore({ directory })
    const partition = await store.open('counts', 0)
    if (start === 0) expect(partition.damage).toContain('a row does not fit its checksum')
    else expect(partition.damage).toBeUndefined()
    expect([partition.rows, partition.checkpoint(), partition.get(Buffer.from('key 1'))]).toEqual([
      start,
      undefined,
      undefined,
    ])
    expect((await store.open('counts', 1)).get(Buffer.from('k'))?.toString()).toBe('v')
    await store.commit([
      { partition, rows: [{ key: Buffer.from('new'), value: Buffer.from('v') }], checkpoint: undefined },
    ])
    expect(partition.range().map(([key]) => key.toString())).toEqual(['new'])
    await store.close()
  }
})

test('a row changed while the store is in use is STORE_CORRUPT with the partition, and nothing more is committed', async () => {
  const store = createLmdbStore({ directory })
  const partition = await store.open('counts', 0)
  replace(`key 12345${'9'.repeat(20)}`, `key 12345${'9'.repeat(19)}?`)
  const message = 'Partition 0 of table "counts"'
  expect(() => partition.get(Buffer.from('key 12345'))).toThrow(failing('STORE_CORRUPT', message))
  expect(() => partition.range()).toThrow(failing('STORE_CORRUPT', message))
  const commit = store.commit([{ partition, rows: [], checkpoint: { topicId: 'topic', offset: 8, wallTimeMs: 0 } }])
  await expect(commit).rejects.toThrow(failing('STORE_CORRUPT', message))
  await store.close()
})

test(
  'bytes and pages changed anywhere give right rows, an empty partition or an error, and never a signal',
  { timeout: 120_000 },
  async () => {
    const outcome = await runProcess('damaging-process.ts', directory, '1', '120').ended()
    expect(outcome).toMatchObject({ code: 0, signal: null, errors: '' })
    const [right = 0, dropped = 0, refused = 0] = outcome.lines.at(-1)?.split(' ').map(Number) ?? []
    expect(right + dropped + refused).toBe(120)
    expect(Math.min(right, dropped, refused)).toBeGreaterThan(0)
  },
)

test('another format is STORE_VERSION', () => {
  writeFileSync(join(directory, 'millrace-store.json'), '{"format":99}')
  expect(() => createLmdbStore({ directory })).toThrow(failing('STORE_VERSION', 'format 99'))
})

test('a directory that cannot be made is STORE_FAILED', () => {
  expect(() => createLmdbStore({ directory: join(data, 'below') })).toThrow(failing('STORE_FAILED', data))
})

test('a sound store is never reported as damaged, whatever its history', async () => {
  for (let round = 0; round < 20; round++) {
    const store = createLmdbStore({ directory })
    const partition = await store.open('counts', round % 3)
    await store.commit([
      { partition, rows: [{ key: Buffer.from('k'), value: Buffer.alloc(round * 5000) }], checkpoint: undefined },
    ])
    if (round % 4 === 3) await partition.clear()
    await store.close()
    expect(readFileSync(data).length).toBeGreaterThan(0)
  }
})

function overwrite(position: number, bytes: Buffer): void {
  const fd = openSync(data, 'r+')
  writeSync(fd, bytes, 0, bytes.length, position)
  closeSync(fd)
}

/** Wherever it stands, also on pages that are no longer used. */
function replace(text: string, by: string): void {
  const bytes = readFileSync(data)
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) overwrite(at, Buffer.from(by))
}
