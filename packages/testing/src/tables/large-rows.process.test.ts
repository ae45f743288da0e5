import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundled } from '@millrace/programs-for-tests'
import { expect, it } from 'vitest'
import { startApp } from '../lib/start-app.ts'

const MEGABYTE = 1024 * 1024
const CACHE_BYTES = 8 * MEGABYTE

// Measured: 260 to 295 MB, nearly all of it within the first 100 MB of rows; a cache without a bound: more than 600. It is garbage between two collections, pages of commits under way.
it(
  'a table of 480 MB with a cache of 8 MB needs less than 48 times the cache',
  { timeout: 180_000 },
  async ({ skip }) => {
    if (process.platform !== 'linux') return skip('Only Linux tells which memory belongs to no file.')
    const directory = mkdtempSync(join(tmpdir(), 'millrace-large-'))
    try {
      const worker = startApp(await bundled(new URL('./large-rows.fixture.ts', import.meta.url)), [directory])
      expect(await worker.exited, worker.output()).toBe(0)
      const found: unknown = JSON.parse(worker.stdout().trim().split('\n').at(-1) ?? '')
      expect(found).toEqual({
        rows: 80_000,
        bytes: 480_000_000,
        cachedBytes: expect.any(Number),
        grown: expect.any(Number),
      })
      const { cachedBytes, grown } = found as { readonly cachedBytes: number; readonly grown: number }
      expect(cachedBytes).toBeLessThan(2 * CACHE_BYTES)
      expect(grown).toBeLessThan(48 * CACHE_BYTES)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
)
