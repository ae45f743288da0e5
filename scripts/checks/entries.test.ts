import { expect, test } from 'vitest'
import { checkEntries } from './entries.ts'
import { planted } from './planted.ts'

const messages = (files: Readonly<Record<string, string>>): readonly string[] =>
  checkEntries(planted(files)).map(({ file, line, message }) => `${file}:${line ?? ''} ${message}`)

const entry = 'packages/core/src/index.ts'

test('named re-exports pass, over several lines and with comments', () => {
  expect(messages({})).toEqual([])
  expect(
    messages({
      [entry]:
        "// why\nexport {\n  a,\n  type B,\n} from './lib/a.ts'\n/** more */\nexport type { C } from './lib/c.ts';\n",
    }),
  ).toEqual([])
})

test.each([
  ["export * from './lib/a.ts'"],
  ["export * as a from './lib/a.ts'"],
  ["export type * from './lib/a.ts'"],
  ["import { a } from './lib/a.ts'\nexport { a }"],
  ['export const a = 1'],
  ["export { default } from './lib/a.ts'\nconsole.log(1)"],
  ['export {}'],
])('%s does not', (code) => {
  const found = messages({ [entry]: `export { x } from './lib/x.ts'\n${code}\n` })
  expect(found.length).toBeGreaterThan(0)
  expect(found[0]).toMatch(/^packages\/core\/src\/index\.ts:[23] /)
})

test('export * is found anywhere in what is shipped', () => {
  expect(messages({ 'packages/core/src/lib/all.ts': "export * from './anything.ts'" })).toHaveLength(1)
})
