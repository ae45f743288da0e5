import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLmdbStore } from './lmdb-store.ts'

test('keys longer than LMDB takes keep their bytes and their order', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  const store = createLmdbStore({ directory })
  try {
    // Around the length from which a hash stands in, with ends that sort in other ways than their hashes.
    const end = fc.array(fc.constantFrom(0, 1, 254, 255), { maxLength: 4 })
    const key = fc
      .record({ length: fc.constantFrom(1896, 1899, 1900, 1901, 1905, 5000), fill: fc.constantFrom(0, 7, 255), end })
      .map(({ length, fill, end: bytes }) => Buffer.concat([Buffer.alloc(length, fill), Buffer.from(bytes)]))
    const partition = await store.open('long', 0)
    await fc.assert(
      fc.asyncProperty(
        fc.array(key, { maxLength: 20 }),
        fc.option(key),
        fc.option(key),
        fc.nat({ max: 8 }),
        async (keys, from, to, limit) => {
          await partition.clear()
          await store.commit([
            { partition, rows: keys.map((one) => ({ key: one, value: one.subarray(-6) })), checkpoint: undefined },
          ])
          const sorted = [...new Map(keys.map((one) => [one.toString('hex'), one])).values()].sort(Buffer.compare)
          expect(partition.rows).toBe(sorted.length)
          for (const one of sorted) expect(partition.get(one)?.equals(one.subarray(-6))).toBe(true)
          const inside = sorted
            .filter((one) => (from === null || one.compare(from) >= 0) && (to === null || one.compare(to) < 0))
            .slice(0, limit)
          const found = partition.range({ ...(from === null ? {} : { from }), ...(to === null ? {} : { to }), limit })
          expect(found.map(([one]) => one.toString('hex'))).toEqual(inside.map((one) => one.toString('hex')))
          expect(found.every(([one, value]) => value.equals(one.subarray(-6)))).toBe(true)
          await store.commit([
            { partition, rows: keys.map((one) => ({ key: one, value: null })), checkpoint: undefined },
          ])
          expect(partition.rows).toBe(0)
        },
      ),
      { numRuns: 60 },
    )
  } finally {
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  }
})
