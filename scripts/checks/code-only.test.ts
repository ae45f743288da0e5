import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { codeOnly } from './code-only.ts'
import { findImports } from './find-imports.ts'

describe('what is code', () => {
  test.each([
    ['a // b', 'a'],
    ['a /* b */ c', 'a c'],
    ['a `b` c', 'a c'],
    ['a `b ${c} d` e', 'a c e'],
    ['a `b ${c + `d ${e} f`} g` h', 'a c + e h'],
    ['a `${{ b: 1 }.b}` c', 'a { b: 1 }.b c'],
    ['a `\\`` b', 'a b'],
    ["'// no comment' a", "'// no comment' a"],
    ["'it\\'s' // b", "'it\\'s'"],
    ['a / b / c // d', 'a / b / c'],
    ['x = /[\'"`]/g.test(a) // b', 'x = .test(a)'],
    ['x = /[/]`/ + a', 'x = + a'],
    ['return /`/ + a', 'return + a'],
    ["'`' + a + '`' // b", "'`' + a + '`'"],
    ['`http://x` + a', '+ a'],
  ])('%s', (text, code) => {
    expect(codeOnly(text).code.replace(/\s+/g, ' ').trim()).toBe(code)
  })
})

test('every character keeps its line, and belongs to one kind at most', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          'a',
          "'",
          '"',
          '`',
          '${',
          '}',
          '{',
          '/',
          '*',
          '//',
          '/*',
          '*/',
          '\\',
          '\n',
          ' ',
          '(',
          '[',
          ']',
          'return ',
        ),
      ),
      (parts) => {
        const text = parts.join('')
        const { code, bare, comments } = codeOnly(text)
        for (const each of [code, bare, comments]) {
          expect(each).toHaveLength(text.length)
          expect(each.split('').every((character, at) => character === ' ' || character === text[at])).toBe(true)
          expect(each.split('\n')).toHaveLength(text.split('\n').length)
        }
        expect(
          code.split('').every((character, at) => character === ' ' || character === '\n' || comments[at] === ' '),
        ).toBe(true)
      },
    ),
  )
})

test('imports, with the line where they end', () => {
  const text = [
    "import a from 'one'",
    'import type {',
    '  B,',
    "} from 'two'",
    "import 'three'",
    "export { c } from 'four'",
    "export * from 'five'",
    "const d = await import('six')",
    "type E = import('seven').E",
    "const f = require('eight')",
    "// import 'no'",
    "const g = `import 'no'`",
    "export const from = 'no'",
    "const h = { import: 'no' }",
    `const i = "import 'no'"`,
  ].join('\n')
  expect(findImports(text).toSorted((a, b) => a.line - b.line)).toEqual([
    { specifier: 'one', line: 1, isOfTypes: false },
    { specifier: 'two', line: 4, isOfTypes: true },
    { specifier: 'three', line: 5, isOfTypes: false },
    { specifier: 'four', line: 6, isOfTypes: false },
    { specifier: 'five', line: 7, isOfTypes: false },
    { specifier: 'six', line: 8, isOfTypes: false },
    { specifier: 'seven', line: 9, isOfTypes: false },
    { specifier: 'eight', line: 10, isOfTypes: false },
  ])
})
