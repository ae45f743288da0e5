import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PatternSegment } from './path-pattern.ts'
import { parsePattern } from './path-pattern.ts'
import { PathTable } from './path-table.ts'

function tableOf(...paths: readonly string[]): PathTable<string> {
  const table = new PathTable<string>()
  for (const path of paths) table.set(parsePattern(path), path)
  return table
}

test('a literal takes precedence over a parameter in each part, with backtracking', () => {
  const table = tableOf('/words/:word/', '/words/new/', '/:any/new/x/', '/words/new/:id/y/')
  expect(table.find(['words', 'new'])?.value).toBe('/words/new/')
  expect(table.find(['words', 'old'])).toEqual({ value: '/words/:word/', params: { word: 'old' } })
  expect(table.find(['words', 'new', 'x'])).toEqual({ value: '/:any/new/x/', params: { any: 'words' } })
  expect(table.find(['words', 'new', 'x', 'y'])).toEqual({ value: '/words/new/:id/y/', params: { id: 'x' } })
  expect(table.find(['words'])).toBeUndefined()
  expect(table.find([])).toBeUndefined()
})

test('an empty part does not match a parameter', () => {
  expect(tableOf('/:a/').find([''])).toBeUndefined()
})

test('names of object properties are ordinary text', () => {
  const found = tableOf('/:a/:b/').find(['__proto__', 'constructor'])
  expect(found?.params['a']).toBe('__proto__')
  expect(found?.params['b']).toBe('constructor')
  expect(found?.params['toString']).toBeUndefined()
  expect(tableOf('/__proto__/').find(['constructor'])).toBeUndefined()
})

test('patterns that differ only in parameter names are the same', () => {
  const table = tableOf('/a/:x/')
  expect(table.get(parsePattern('/a/:y/'))).toBe('/a/:x/')
  expect(table.get(parsePattern('/a/x/'))).toBeUndefined()
})

const segment = fc.constantFrom('a', 'b', 'c')
const pattern: fc.Arbitrary<readonly PatternSegment[]> = fc.array(
  fc.oneof(
    segment.map((literal) => ({ literal })),
    fc.constant({ param: 'p' }),
  ),
  { maxLength: 4 },
)

test('finds the same pattern as a comparison with all of them, the most literal first', () => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 12 }), fc.array(segment, { maxLength: 4 }), (patterns, path) => {
      const table = new PathTable<string>()
      for (const each of patterns) table.set(each, keyOf(each))
      const matching = patterns.filter(
        (each) =>
          each.length === path.length && each.every((part, at) => !('literal' in part) || part.literal === path[at]),
      )
      // '0' for a literal sorts before '1' for a parameter.
      const ranks = matching.map(keyOf).toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))
      expect(table.find(path)?.value).toBe(ranks[0])
    }),
    { numRuns: 500 },
  )
})

function keyOf(segments: readonly PatternSegment[]): string {
  return segments.map((part) => ('param' in part ? ':' : part.literal)).join('/')
}

function rank(key: string): string {
  return key
    .split('/')
    .map((part) => (part === ':' ? '1' : '0'))
    .join('')
}
