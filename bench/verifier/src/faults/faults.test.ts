import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FAULTS } from './faults.ts'

const root = new URL('../../../../', import.meta.url)

test.each(FAULTS.filter(({ change }) => change !== undefined).map(({ name, change }) => ({ name, change })))(
  'the line that $name changes is where it is looked for',
  ({ change }) => {
    const { file = '', line = '' } = change ?? {}
    expect(readFileSync(new URL(file, root), 'utf8').split(line).length - 1).toBe(1)
  },
)

test('every fault does something', () => {
  for (const { wrap, change } of FAULTS) expect([wrap, change].filter((way) => way !== undefined)).toHaveLength(1)
})
