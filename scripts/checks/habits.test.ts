import { describe, expect, test } from 'vitest'
import { checkHabits } from './habits.ts'
import { planted } from './planted.ts'

const found = (path: string, code: string): readonly string[] =>
  checkHabits(planted({ [path]: code })).map(({ message }) => message)

const shipped = 'packages/core/src/lib/some.ts'

test('a sound workspace passes', () => {
  expect(checkHabits(planted())).toEqual([])
})

describe('in what is shipped', () => {
  test.each([
    'const a = b as unknown as string',
    'const a = b as unknown\n  as string',
    'let count = 0',
    'export let count = 0',
    'class TableManager {}',
    'interface StringUtils {}',
    'function parseHelper() {}',
    '// TODO: later',
    '/* FIXME */',
    '// @ts-ignore',
    '// @ts-expect-error it is wrong',
  ])('%s is found', (code) => {
    expect(found(shipped, code)).toHaveLength(1)
  })

  test.each([
    'const a: unknown = b as string',
    "const text = 'let it be, TODO, as unknown as'",
    'function f() {\n  let count = 0\n}',
    '// what is still to do is written elsewhere',
    'const pattern = /TODO|as unknown as/',
  ])('%s is none', (code) => {
    expect(found(shipped, code)).toEqual([])
  })
})

test('tests may keep state and expect type errors, but leave no others out and mock nothing', () => {
  const file = 'packages/core/src/lib/some.test.ts'
  expect(found(file, 'let count = 0\n// @ts-expect-error a string is no number\n')).toEqual([])
  expect(found(file, "test.only('this', () => {})")).toHaveLength(1)
  expect(found(file, 'const f = vi.fn()')).toHaveLength(1)
})

test.each([
  ['packages/core/src/lib/SomeThing.ts', 'is not named in kebab-case'],
  ['packages/core/src/lib/some_thing.ts', 'is not named in kebab-case'],
  ['packages/core/src/lib/utils.ts', 'has a name that says nothing'],
  ['packages/core/src/lib/string-helpers.ts', 'has a name that says nothing'],
])('%s %s', (path, message) => {
  expect(found(path, '')).toEqual([message])
})
