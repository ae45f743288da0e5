import { describe, expect, test } from 'vitest'
import { checkArrows, checkLayers } from './layers.ts'
import { packageJson, planted } from './planted.ts'

const messages = (files?: Readonly<Record<string, string>>): readonly string[] =>
  checkLayers(planted(files)).map(
    ({ file, line, message }) => `${file}${line === undefined ? '' : `:${line}`} ${message}`,
  )

test('a sound workspace passes', () => {
  expect(messages()).toEqual([])
})

describe('an import of another part is found', () => {
  test.each([
    ['a value', "import { anything } from '@millrace/tables'"],
    ['a type', "import type { Thing } from '@millrace/tables'"],
    ['over several lines', "import {\n  anything,\n  type Thing,\n} from '@millrace/tables'"],
    ['for its effects', "import '@millrace/tables'"],
    ['late', "const later = () => import('@millrace/tables')"],
    ['in a type', "type Late = import('@millrace/tables').Thing"],
    ['as a re-export', "export { anything } from '@millrace/tables'"],
    ['of everything', "export * from '@millrace/tables'"],
  ])('%s', (_, code) => {
    const found = messages({ 'packages/streams/src/lib/breach.ts': `\n${code}\n` })
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(
      /^packages\/streams\/src\/lib\/breach\.ts:[2-6] @millrace\/streams must not import @millrace\/tables$/,
    )
  })

  test('in a test too', () => {
    expect(
      messages({ 'packages/streams/src/lib/breach.test.ts': "import { x } from '@millrace/tables'" }),
    ).toHaveLength(1)
  })

  test('not in a comment or a template', () => {
    const code =
      "// import { x } from '@millrace/tables'\n/* import '@millrace/tables' */\nexport const text = `import '@millrace/tables'`\n"
    expect(messages({ 'packages/streams/src/lib/fine.ts': code })).toEqual([])
  })
})

describe('a dependency that is declared is found without an import', () => {
  test.each([[{ dependencies: ['core', 'tables'] }], [{ dependencies: ['core'], devDependencies: ['tables'] }]])(
    '%j',
    (dependencies) => {
      expect(messages({ 'packages/streams/package.json': packageJson('streams', dependencies) })).toEqual([
        expect.stringContaining('@millrace/streams must not have @millrace/tables among its'),
      ])
    },
  )
})

test('conformance is for tests of drivers and of the store in state', () => {
  const code = "import { suite } from '@millrace/conformance'"
  expect(messages({ 'packages/state/src/lib/store.test.ts': code })).toEqual([])
  expect(messages({ 'packages/state/src/lib/store.ts': code })).toHaveLength(1)
  expect(messages({ 'packages/streams/src/lib/agent.test.ts': code })).toHaveLength(1)
})

test('an import that is allowed but not declared is found', () => {
  const found = messages({ 'packages/app/package.json': packageJson('app', { dependencies: ['core', 'streams'] }) })
  expect(found).toEqual([expect.stringContaining('@millrace/tables is not among the dependencies of @millrace/app')])
})

test('what is shipped must not import a devDependency', () => {
  const found = messages({
    'packages/app/package.json': packageJson('app', { dependencies: ['core', 'streams'], devDependencies: ['tables'] }),
  })
  expect(found).toEqual([expect.stringContaining('is a devDependency of @millrace/app, imported by what is shipped')])
})

test('deep imports are found, by name and by path; declared subpaths are none', () => {
  const file = 'apps/demo/src/breach.ts'
  expect(messages({ [file]: "import '@millrace/app/src/lib/anything.ts'" })).toHaveLength(1)
  expect(messages({ [file]: "import '../../../packages/app/src/index.ts'" })).toHaveLength(1)
  const open = JSON.stringify({ name: '@millrace/app', exports: { '.': './src/index.ts', './open': './src/open.ts' } })
  const declared = open.replace(
    '"exports"',
    '"dependencies":{"@millrace/core":"1","@millrace/streams":"1","@millrace/tables":"1"},"exports"',
  )
  expect(messages({ [file]: "import '@millrace/app/open'", 'packages/app/package.json': declared })).toEqual([])
})

test('scripts at the root import entry files by path, and nothing deeper', () => {
  expect(messages({ 'scripts/docs.ts': "import { x } from '../packages/core/src/index.ts'" })).toEqual([])
  expect(messages({ 'scripts/docs.ts': "import { x } from '../packages/core/src/lib/anything.ts'" })).toHaveLength(1)
})

test('packages that depend on each other are found, devDependencies counted', () => {
  const found = messages({
    'packages/app/package.json': packageJson('app', {
      dependencies: ['core', 'streams', 'tables'],
      devDependencies: ['testing'],
    }),
  })
  expect(found).toContain('packages/app/package.json @millrace/app depends on itself through its dependencies')
  expect(found).toContain('packages/testing/package.json @millrace/testing depends on itself through its dependencies')
})

test('a package without a place is found', () => {
  expect(messages({ 'packages/extra/package.json': packageJson('extra', {}) })).toEqual([
    expect.stringContaining('has no place in the layers'),
  ])
})

describe('the floors of worker', () => {
  const worker = (path: string, code: string): Readonly<Record<string, string>> => ({
    'packages/worker/package.json': packageJson('worker', { dependencies: ['core'] }),
    [`packages/worker/src/lib/${path}`]: code,
  })

  test.each([
    ["import type { Worker } from '../worker/worker.ts'"],
    ["import { Subscription } from '../queue/subscription.ts'"],
    ["const later = () => import('../group/member.ts')"],
  ])('an import of a floor above is found: %s', (code) => {
    expect(messages(worker('task/breach.ts', `\n${code}\n`))).toEqual([
      expect.stringMatching(
        /^packages\/worker\/src\/lib\/task\/breach\.ts:2 task must not import (worker|queue|group), a floor above it$/,
      ),
    ])
  })

  test('its own floor, those below and other packages may be imported', () => {
    const code = "import './task.ts'\nimport '../records/positions.ts'\nimport type { Clock } from '@millrace/core'\n"
    expect(messages(worker('task/fine.ts', code))).toEqual([])
  })

  test('a test may import what it likes', () => {
    const code = "import '../worker/create-worker.ts'\n"
    expect(messages(worker('task/task.test.ts', code))).toEqual([])
    expect(messages(worker('fixtures/a.fixture.ts', code))).toEqual([])
  })

  test('a folder without a floor is found', () => {
    expect(messages(worker('cellar/deep.ts', 'export const a = 1\n'))).toEqual([
      expect.stringContaining('cellar has no place among the floors'),
    ])
  })
})

test('an arrow that no import uses is found', () => {
  const used = {
    'packages/client/src/lib/a.ts': "import '@millrace/core'\nimport type { T } from '@millrace/worker'\n",
  }
  const client = { 'packages/client/package.json': packageJson('client', { dependencies: ['core', 'worker'] }) }
  const found = (files: Readonly<Record<string, string>>): readonly string[] =>
    checkArrows(planted(files)).flatMap(({ file, message }) => (file.startsWith('packages/client/') ? [message] : []))
  expect(found({ ...client, ...used })).toEqual([])
  expect(found(client)).toEqual([
    expect.stringContaining('nothing in @millrace/client imports @millrace/core'),
    expect.stringContaining('nothing in @millrace/client imports @millrace/worker'),
  ])
})
