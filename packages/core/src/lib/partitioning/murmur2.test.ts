import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { murmur2, partitionForKey } from './partitioners.ts'

type Vector = readonly [hex: string, hash: number, of8: number, of13: number]

const { vectors }: { readonly vectors: readonly Vector[] } = JSON.parse(
  readFileSync(new URL('./murmur2-vectors.json', import.meta.url), 'utf8'),
)

test('keys are hashed and partitioned as by the Java client', () => {
  expect(vectors.length).toBeGreaterThan(300)
  for (const [hex, hash, of8, of13] of vectors) {
    const key = Buffer.from(hex, 'hex')
    expect([hex, murmur2(key), partitionForKey(key, 8), partitionForKey(key, 13)]).toEqual([hex, hash, of8, of13])
    expect(partitionForKey(key, 1)).toBe(0)
  }
})

test('a view of a larger buffer is hashed like a copy', () => {
  const bytes = Buffer.from('xxuser-12yy')
  expect(murmur2(bytes.subarray(2, 9))).toBe(murmur2(Buffer.from('user-12')))
  expect(murmur2(new Uint8Array(Buffer.from('user-12')))).toBe(murmur2(Buffer.from('user-12')))
})
