import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sizeOfVarint, writeVarint } from './varint.ts'

test('known encodings', () => {
  const encoded = (value: number): string => {
    const buffer = Buffer.alloc(10)
    return buffer.subarray(0, writeVarint(buffer, 0, value)).toString('hex')
  }
  expect([0, -1, 1, -2, 63, -64, 64, 300].map(encoded)).toEqual(['00', '01', '02', '03', '7e', '7f', '8001', 'd804'])
})

test('the size counted is the size written', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 51), max: 2 ** 51 }), (value) => {
      expect(writeVarint(Buffer.alloc(10), 0, value)).toBe(sizeOfVarint(value))
    }),
  )
})
