import { smallDisk } from '@millrace/conformance'
import { expect, test } from 'vitest'
import { createLmdbStore } from './lmdb-store.ts'
import { runProcess } from './fixtures/run-process.ts'

const MEGABYTE = 1024 * 1024

test(
  'a full disk is STORE_FAILED with the reason; nothing is lost, and it goes on with more room',
  { timeout: 60_000 },
  async ({ skip }) => {
    const disk = smallDisk(4 * MEGABYTE)
    if (disk === undefined) return skip('It takes root on Linux to mount a small disk.')
    try {
      const { code, signal, lines } = await runProcess('filling-process.ts', disk.directory).ended()
      expect({ code, signal }).toEqual({ code: 0, signal: null })
      const [failure, found, closed] = lines.slice(-3)
      const rounds = lines.length - 3
      expect(rounds).toBeGreaterThan(2)
      expect(failure).toMatch(/^STORE_FAILED: .* cannot be written \(0 MB left on its disk\): /)
      expect([found, closed]).toEqual([`${rounds * 200} ${rounds * 200} ${rounds}`, 'closed'])

      disk.resize(32 * MEGABYTE)
      const store = createLmdbStore({ directory: disk.directory })
      const partition = await store.open('counts', 0)
      expect([partition.damage, partition.rows, partition.checkpoint()?.offset]).toEqual([
        undefined,
        rounds * 200,
        rounds,
      ])
      const rows = Array.from({ length: 5000 }, (_, i) => ({
        key: Buffer.from(`more ${i}`),
        value: Buffer.alloc(1000),
      }))
      await store.commit([{ partition, rows, checkpoint: undefined }])
      expect(partition.rows).toBe(rounds * 200 + 5000)
      await store.close()
    } finally {
      disk.remove()
    }
  },
)
