import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DEFECTS } from './defects.ts'

const root = new URL('../../../../', import.meta.url)

test.each(DEFECTS.filter(({ change }) => change !== undefined).map(({ name, change }) => ({ name, change })))(
  'the line that $name changes is where it is looked for',
  ({ change }) => {
    const { file = '', line = '' } = change ?? {}
    expect(readFileSync(new URL(file, root), 'utf8').split(line).length - 1).toBe(1)
  },
)

test('every defect does something', () => {
  for (const { wrap, change } of DEFECTS) expect([wrap, change].filter((way) => way !== undefined)).toHaveLength(1)
})
