import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storeSuite } from '@millrace/conformance'
import { expect, test } from 'vitest'
import { createLmdbStore } from './lmdb-store.ts'

storeSuite({
  name: 'lmdb',
  create: () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-store-'))
    return {
      open: () => createLmdbStore({ directory }),
      remove: () => rmSync(directory, { recursive: true, force: true }),
    }
  },
})

test('a directory whose id is in use elsewhere gets another one at its next opening, and keeps its rows', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  const store = createLmdbStore({ directory })
  const partition = await store.open('t', 0)
  await store.commit([{ partition, rows: [{ key: Buffer.from('k'), value: Buffer.from('v') }], checkpoint: undefined }])
  await store.renewWorkerId?.()
  await store.close()
  const again = createLmdbStore({ directory })
  const { workerId } = again
  expect(workerId).not.toBe(store.workerId)
  expect((await again.open('t', 0)).get(Buffer.from('k'))?.toString()).toBe('v')
  await again.close()
  const third = createLmdbStore({ directory })
  expect(third.workerId).toBe(workerId)
  await third.close()
  rmSync(directory, { recursive: true, force: true })
})

test('a copy made during commits is an independent store, with rows and checkpoint of one commit', async () => {
  const above = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  const store = createLmdbStore({ directory: join(above, 'own') })
  const partition = await store.open('t', 0)
  const commit = (offset: number): Promise<void> =>
    store.commit([
      {
        partition,
        rows: Array.from({ length: 200 }, (_, i) => ({ key: Buffer.from(`k${i}`), value: Buffer.from(`${offset}`) })),
        checkpoint: { topicId: 'id', offset, wallTimeMs: 0 },
      },
    ])
  await commit(0)
  let ended = false
  const committing = (async () => {
    for (let offset = 1; !ended; offset++) await commit(offset)
  })()
  const target = join(above, 'copy')
  await store.backup(target)
  ended = true
  await committing
  await expect(store.backup(target)).rejects.toMatchObject({
    code: 'STORE_FAILED',
    message: expect.stringContaining(target),
  })
  const copy = createLmdbStore({ directory: target })
  expect(copy.workerId).toBe(store.workerId)
  const opened = await copy.open('t', 0)
  expect(opened.rows).toBe(200)
  expect(new Set(opened.range().map(([, value]) => Number(value.toString())))).toEqual(
    new Set([opened.checkpoint()?.offset]),
  )
  await copy.close()
  await store.close()
  rmSync(above, { recursive: true, force: true })
})

test.skipIf(process.platform === 'win32')('only its owner can read a new store', async () => {
  const above = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  const directory = join(above, 'data', 'tables')
  const store = createLmdbStore({ directory })
  const partition = await store.open('t', 0)
  await store.commit([{ partition, rows: [{ key: Buffer.from('k'), value: Buffer.from('v') }], checkpoint: undefined }])
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8)
  expect([mode(join(above, 'data')), mode(directory)]).toEqual(['700', '700'])
  const files = readdirSync(directory)
  expect(files).toContain('data.mdb')
  for (const file of files) expect([file, mode(join(directory, file))]).toEqual([file, '600'])
  await partition.close()
  await store.close()
  rmSync(above, { recursive: true, force: true })
})
