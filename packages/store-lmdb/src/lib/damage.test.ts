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

let directory: string
let data: string

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  data = join(directory, 'data.mdb')
  const store = createLmdbStore({ directory })
  const partition = await store.open('counts', 0)
  const rows = Array.from({ length: 20_000 }, (_, i) => ({ key: Buffer.from(`key ${i}`), value: Buffer.alloc(100, i) }))
  await store.commit([{ partition, rows, checkpoint: undefined }])
  await store.close()
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

const failing = (code: string, message: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

// Opened by LMDB itself, each of these ends the process with a signal, or starts an empty store without a word.
test.each<readonly [string, () => void, string]>([
  ['cut in half', () => truncateSync(data, statSync(data).size / 2), 'cut off'],
  ['cut to one page', () => truncateSync(data, 4096), 'second page'],
  ['the last page missing', () => truncateSync(data, statSync(data).size - 4096), 'cut off'],
  ['emptied', () => truncateSync(data, 0), 'empty'],
  ['gone', () => rmSync(data), 'missing'],
  ['a text file', () => writeFileSync(data, 'no database\n'.repeat(1000)), 'first page'],
  ['garbage in front', () => overwrite(0, Buffer.alloc(200, 0x5a)), 'first page'],
  ['garbage for roots', () => overwrite(8192, Buffer.alloc(statSync(data).size - 8192, 0x5a)), 'page'],
  [
    'a marker that is no marker',
    () => writeFileSync(join(directory, 'millrace-store.json'), '{'),
    'millrace-store.json',
  ],
])('%s is STORE_CORRUPT, and says what to do', (_name, damage, message) => {
  damage()
  expect(() => createLmdbStore({ directory })).toThrow(failing('STORE_CORRUPT', message))
  expect(() => createLmdbStore({ directory })).toThrow('Delete its directory')
})

test('another format is STORE_VERSION', () => {
  writeFileSync(join(directory, 'millrace-store.json'), '{"format":99}')
  expect(() => createLmdbStore({ directory })).toThrow(failing('STORE_VERSION', 'format 99'))
})

test('a directory that cannot be made is STORE_FAILED', () => {
  expect(() => createLmdbStore({ directory: join(data, 'below') })).toThrow(failing('STORE_FAILED', data))
})

test('a healthy store is not suspected, whatever it went through', async () => {
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
