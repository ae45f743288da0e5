import { expect, test } from 'vitest'
import { validateName } from './names.ts'

test.each(['a', 'word_counts', 'a.b-c_D9', '...', 'a'.repeat(249)])('%s is fine', (name) => {
  expect(validateName('topic', name)).toBe(name)
})

test.each([
  ['', 'is empty'],
  ['.', 'means a directory'],
  ['..', 'means a directory'],
  ['a'.repeat(250), 'has 250 characters'],
  ['a b', 'has the character " "'],
  ['a/b', 'has the character "/"'],
  ['häuser', 'has the character "ä"'],
  ['a😀', 'has the character "😀"'],
])('%j is refused', (name, problem) => {
  expect(() => validateName('table', name)).toThrow(
    expect.objectContaining({
      code: 'NAME_INVALID',
      detail: expect.stringMatching(new RegExp(`^The table name .*${problem}`)),
    }),
  )
})
