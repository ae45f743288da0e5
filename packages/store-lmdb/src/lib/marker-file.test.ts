import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createLmdbStore } from './lmdb-store.ts'
import { findOtherFormats, removeOtherFormat } from './marker-file.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-formats-'))
afterEach(() => rmSync(root, { recursive: true, force: true }))

function oldStore(name: string): string {
  const directory = join(root, name)
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'millrace-store.json'), '{"format":99}')
  writeFileSync(join(directory, 'data.mdb'), 'rows')
  return directory
}

test('stores of other formats are found and removed; those of this format and foreign files stay', async () => {
  const [old, mixed, own] = [oldStore('old'), oldStore('mixed'), join(root, 'own')]
  writeFileSync(join(mixed, 'notes.txt'), 'mine')
  mkdirSync(join(root, 'photos'))
  await createLmdbStore({ directory: own }).close()
  expect(findOtherFormats(root)).toEqual([
    { directory: mixed, format: 99 },
    { directory: old, format: 99 },
  ])
  expect(await Promise.all([old, mixed, own, join(root, 'photos')].map(removeOtherFormat))).toEqual([
    true,
    true,
    false,
    false,
  ])
  expect([existsSync(old), existsSync(join(mixed, 'notes.txt')), existsSync(join(mixed, 'data.mdb'))]).toEqual([
    false,
    true,
    false,
  ])
  expect(findOtherFormats(root)).toEqual([])
  await createLmdbStore({ directory: own }).close()
})

test('a missing directory has none', () => {
  expect(findOtherFormats(join(root, 'nowhere'))).toEqual([])
})
