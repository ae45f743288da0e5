import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readTarget } from './path-pattern.ts'

test('parts are decoded one by one', () => {
  expect(readTarget('http://a/x%2Fy/100%25/%C3%BC/a%20b/?q=1').segments).toEqual(['x/y', '100%', 'ü', 'a b'])
})

test('any encodable text survives a round trip', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((each) => each !== '.' && each !== '..')
  fc.assert(
    fc.property(text, (each) => {
      expect(readTarget(`http://a/t/${encodeURIComponent(each)}/`).segments).toEqual(['t', each])
    }),
  )
})

test.each([
  'http://a/%',
  'http://a/%zz/',
  'http://a/%ff/',
  'http://a/%c3/',
  'http://a/?k=%ff',
  'http://a/?%',
  'nowhere',
])('%s is a 400', (url) => {
  expect(() => readTarget(url)).toThrow(expect.objectContaining({ status: 400 }))
})
