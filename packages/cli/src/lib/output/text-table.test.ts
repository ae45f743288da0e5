import { jsonText } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import pc from 'picocolors'
import { cellText } from './foreign-text.ts'
import { textTable } from './text-table.ts'

const plain = pc.createColors(false)

test('columns are aligned, numbers to the right, and may be missing', () => {
  const text = textTable(
    [
      { name: 'a', count: 5, help: 'x' },
      { name: 'longer', count: 1234 },
    ],
    plain,
  )
  expect(text.split('\n')).toEqual(['name    count  help', 'a           5  x', 'longer   1234'])
})

test('wide characters take two columns', () => {
  expect(
    textTable(
      [
        { word: '日本', n: 1 },
        { word: 'four', n: 2 },
      ],
      plain,
    ).split('\n'),
  ).toEqual(['word  n', '日本  1', 'four  2'])
})

test('no value can draw on the terminal or start a line', () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withDate: true }), (value) => {
      // oxlint-disable-next-line no-control-regex -- looking for control characters is the purpose
      expect(cellText(value)).not.toMatch(/[\u0000-\u001F\u007F-\u009F]/)
    }),
  )
  expect(cellText('a\u009B31m\u007F\n\u202Eb\u001B[')).toBe('a\\u009b31m\\u007f\\n\\u202eb\\u001b[')
})

test('JSON of what codecs yield', () => {
  expect(
    jsonText({ bytes: Buffer.from('hi'), big: 12n, set: new Set([1]), map: new Map([['a', 1]]), none: undefined }),
  ).toBe('{"bytes":"aGk=","big":"12","set":[1],"map":[["a",1]]}')
  expect(jsonText(undefined)).toBe('null')
})
