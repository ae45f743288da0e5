import { expect, test } from 'vitest'
import { checkImportRings } from './import-rings.ts'
import { planted } from './planted.ts'

const messages = (files: Readonly<Record<string, string>>): readonly string[] =>
  checkImportRings(planted(files)).map(({ file, message }) => `${file} ${message}`)

test('a sound workspace has none', () => {
  expect(messages({})).toEqual([])
})

test('a ring of two is found', () => {
  const found = messages({
    'packages/core/src/lib/a.ts': "import { B } from './b.ts'\n",
    'packages/core/src/lib/b.ts': "import { type A } from './a.ts'\n",
  })
  expect(found).toEqual([
    'packages/core/src/lib/a.ts is in an import ring: packages/core/src/lib/a.ts → packages/core/src/lib/b.ts → packages/core/src/lib/a.ts',
  ])
})

test('a ring of types is found across folders, and may be within one', () => {
  const ring = (other: string, back: string): Readonly<Record<string, string>> => ({
    'packages/core/src/lib/a.ts': `import { b } from '${other}'\n`,
    [`packages/core/src/lib/${other.slice(2)}`]: `import type { A } from '${back}'\n`,
  })
  expect(messages(ring('./b.ts', './a.ts'))).toEqual([])
  expect(messages(ring('./far/b.ts', '../a.ts'))).toHaveLength(1)
})

test('a long ring is told by its shortest way', () => {
  const found = messages({
    'packages/core/src/lib/a.ts': "import './b.ts'\n",
    'packages/core/src/lib/b.ts': "import './c.ts'\nimport './d.ts'\n",
    'packages/core/src/lib/c.ts': "import './d.ts'\n",
    'packages/core/src/lib/d.ts': "export const later = () => import('./a.ts')\n",
  })
  expect(found).toHaveLength(1)
  expect(found[0]?.match(/→/g)).toHaveLength(3)
})

test('a ring through an entry file is found', () => {
  expect(
    messages({
      'packages/core/src/lib/anything.ts': "import type { Thing } from '../index.ts'\nexport const anything = 1\n",
    }),
  ).toHaveLength(1)
  expect(
    messages({
      'packages/core/src/lib/anything.ts': "import type { Thing } from '@millrace/core'\nexport const anything = 1\n",
    }),
  ).toHaveLength(1)
})

test('a ring across packages is found', () => {
  const found = messages({
    'packages/core/src/lib/anything.ts':
      "import { anything as other } from '@millrace/streams'\nexport const anything = other\n",
  })
  expect(found).toHaveLength(1)
  expect(found[0]).toContain('packages/streams/src/index.ts')
})

test('a file that imports itself is found', () => {
  expect(messages({ 'packages/core/src/lib/a.ts': "import './a.ts'\n" })).toHaveLength(1)
})
