import { expect, test } from 'vitest'
import { parsePattern, splitPath } from './path-pattern.ts'

test.each([
  ['/', []],
  ['/a', ['a']],
  ['/a/', ['a']],
  ['/a/b/', ['a', 'b']],
  ['//', ['']],
  ['/a//', ['a', '']],
  ['//a', ['', 'a']],
])('%s splits into %j', (path, segments) => {
  expect(splitPath(path)).toEqual(segments)
})

test('literals and parameters are told apart', () => {
  expect(parsePattern('/words/:word/of/:$author_2/')).toEqual([
    { literal: 'words' },
    { param: 'word' },
    { literal: 'of' },
    { param: '$author_2' },
  ])
  expect(parsePattern('/über uns/a:b/')).toEqual([{ literal: 'über uns' }, { literal: 'a:b' }])
  expect(parsePattern('/')).toEqual([])
})

test.each([
  '',
  'words/',
  '/a//b/',
  '/a/../b/',
  '/./',
  '/a?b=c',
  '/a#b',
  '/:/',
  '/:1/',
  '/:a-b/',
  '/:a/:a/',
  '/:__proto__/',
])('the invalid path %j is refused and named', (path) => {
  expect(() => parsePattern(path)).toThrow(
    expect.objectContaining({ code: 'DEFINITION_INVALID', message: expect.stringContaining(JSON.stringify(path)) }),
  )
})
