import { expect, test } from 'vitest'
import { ownBytes } from './own-bytes.ts'

test('a small part of an answer does not keep all of it, a large one is not copied', () => {
  const answer = Buffer.from(new ArrayBuffer(100_000)).fill(7)
  const small = ownBytes(answer.subarray(10, 30_000))
  expect(small.equals(answer.subarray(10, 30_000))).toBe(true)
  expect(small.buffer).not.toBe(answer.buffer)
  expect(small.buffer.byteLength).toBe(small.length)
  const large = answer.subarray(0, 60_000)
  expect(ownBytes(large)).toBe(large)
})
