import { expect, test } from 'vitest'
import { planted } from './planted.ts'
import { checkRegexps } from './regexps.ts'

const messages = (text: string, path = 'packages/core/src/lib/pattern.ts'): readonly string[] =>
  checkRegexps(planted({ [path]: text })).map(({ line, message }) => `${line} ${message}`)

test('a sound workspace passes', () => {
  expect(checkRegexps(planted())).toEqual([])
  expect(messages(String.raw`export const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)$/`)).toEqual([])
})

test('digits that two parts of a pattern can take', () => {
  expect(messages(`\n${String.raw`export const NUMBER = /^\d+\.?\d*$/`}`)).toEqual([
    expect.stringMatching(/^2 .*with the square of the text/),
  ])
})

test('a repetition of a repetition', () => {
  expect(messages(String.raw`text.replace(/^(?:a+)+$/, '')`)).toEqual([expect.stringContaining('exponentially')])
})

test('the scripts of a page too; tests and fixtures may have any', () => {
  const slow = String.raw`const SLOW = /x*x*$/`
  expect(messages(slow, 'packages/core/assets/page.js').length).toBeGreaterThan(0)
  expect(messages(slow, 'packages/core/src/lib/pattern.test.ts')).toEqual([])
  expect(messages(slow, 'packages/core/src/lib/pattern.fixture.ts')).toEqual([])
  expect(messages(slow, 'packages/testing/src/lib/pattern.ts')).toEqual([])
})

test('a pattern that is made when the program runs', () => {
  expect(messages('export const made = (name) => new RegExp(name)')).toEqual([expect.stringContaining('when it runs')])
})
