import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundled } from '@millrace/programs-for-tests'
import { expect, it } from 'vitest'
import { startApp } from '../lib/start-app.ts'

const MEGABYTE = 1024 * 1024
const CACHE_BYTES = 8 * MEGABYTE

// With a heap of 96 MB, in which the rows would not have room: about 110 MB; without that limit 130 to 290. A cache without
// a bound ends the process, and takes 420 MB where the heap has room. What is beyond the cache is garbage between two
// collections, and pages of commits under way.
const HEAP = '--max-old-space-size=96'

it(
  'a table of 240 MB with a cache of 8 MB needs less than 32 times the cache',
  { timeout: 180_000 },
  async ({ skip }) => {
    if (process.platform !== 'linux') return skip('Only Linux tells which memory belongs to no file.')
    const directory = mkdtempSync(join(tmpdir(), 'millrace-large-'))
    try {
      const worker = startApp(await bundled(new URL('./large-rows.fixture.ts', import.meta.url)), [directory], {
        NODE_OPTIONS: HEAP,
      })
      expect(await worker.exited, worker.output()).toBe(0)
      const found: unknown = JSON.parse(worker.stdout().trim().split('\n').at(-1) ?? '')
      expect(found).toEqual({
        rows: 40_000,
        bytes: 240_000_000,
        cachedBytes: expect.any(Number),
        grown: expect.any(Number),
      })
      const { cachedBytes, grown } = found as { readonly cachedBytes: number; readonly grown: number }
      expect(cachedBytes).toBeLessThan(2 * CACHE_BYTES)
      expect(grown).toBeLessThan(32 * CACHE_BYTES)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
)
