import { expect, test } from 'vitest'
import { readArguments } from './read-arguments.ts'

test('every choice can be typed', () => {
  expect(readArguments(['shop', '--template', 'orders', '--pm', 'pnpm', '--no-install', '--no-git', '-y'])).toEqual({
    directory: 'shop',
    template: 'orders',
    pm: 'pnpm',
    install: false,
    git: false,
    overwrite: false,
    yes: true,
    help: false,
    version: false,
  })
})

test('choices that were not typed stay open', () => {
  expect(readArguments([])).toMatchObject({
    directory: undefined,
    template: undefined,
    pm: undefined,
    install: undefined,
  })
})

test.each([
  [['--template', 'shop'], 'There is no template "shop"; there are minimal, windows, word-count, orders.'],
  [['--pm', 'bun'], '--pm takes npm, pnpm, yarn, not "bun".'],
  [['one', 'two'], '"two" is too much'],
  [['--templat', 'x'], "Unknown option '--templat'. See --help."],
])('%j is refused', (words, message) => {
  expect(() => readArguments(words)).toThrow(message)
})
