import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const rows = readFileSync(join(root, 'docs/guide-page.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| statement'))
  .map((line) => line.split('|').map((cell) => cell.trim()))

/** A test file, and what it shares with others on another broker. */
function textOf(file: string): string {
  const text = readFileSync(join(root, file), 'utf8')
  const flows = [...text.matchAll(/from '(\.\/[\w-]+-flows\.ts)'/g)].map(([, path = '']) =>
    readFileSync(join(root, dirname(file), path), 'utf8'),
  )
  return [text, ...flows].join('\n')
}

describe('docs/guide-page.md', () => {
  it.each(rows.map(([, statement = '', example = '', tests = '']) => [statement, example, tests] as const))(
    '%s',
    (statement, example, tests) => {
      const files = [...tests.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file)
      expect(files.length).toBeGreaterThan(0)
      // The test is named after the statement.
      for (const file of files) expect(textOf(file)).toMatch(titled(statement))
      const [, path = ''] = /`([^`]+)`/.exec(example) ?? []
      expect(existsSync(join(root, path))).toBe(true)
    },
  )

  it('shows what is said about several workers on both brokers', () => {
    for (const [, statement = '', , tests = ''] of rows)
      if (tests.includes('.kafka.test.ts'))
        expect([statement, tests]).toEqual([statement, expect.stringContaining('.embedded.test.ts')])
  })

  it('has rows', () => expect(rows.length).toBeGreaterThan(30))
})

/** The whole title of a test, but for what is put in for its parameter. */
function titled(statement: string): RegExp {
  const escaped = statement.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(String.raw`(?:it|test)(?:\.each\(.*?\))?\(\s*'${escaped}(?: \(%s\))?'`, 's')
}
