import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const rows = readFileSync(join(root, 'docs/guide-page.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| statement'))
  .map((line) => line.split('|').map((cell) => cell.trim()))

describe('docs/guide-page.md', () => {
  it.each(rows.map(([, statement = '', , test = '']) => [statement, test] as const))('%s', (_statement, test) => {
    const [, file = '', title = ''] = /^`([^`]+)`: (.+)$/.exec(test) ?? []
    expect(readFileSync(join(root, file), 'utf8')).toContain(title)
  })

  it('has rows', () => expect(rows.length).toBeGreaterThan(15))
})
