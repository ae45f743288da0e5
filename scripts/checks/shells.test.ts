import { expect, test } from 'vitest'
import { packageJson, planted } from './planted.ts'
import { checkShells } from './shells.ts'
import { workspaceOf } from './workspace.ts'

const messages = (files: Readonly<Record<string, string>>): readonly string[] =>
  checkShells(planted(files)).map(({ file, message }) => `${file} ${message}`)

test('a sound workspace passes', () => {
  expect(messages({})).toEqual([])
})

test('a README that says nothing, in an app too', () => {
  expect(messages({ 'packages/core/README.md': '# core\n' })).toEqual(['packages/core/README.md says next to nothing'])
  expect(messages({ 'apps/demo/README.md': '' })).toHaveLength(1)
})

test('a package of package.json alone has everything missing', () => {
  const workspace = workspaceOf(new Map([['packages/empty/package.json', '{"name":"@millrace/empty"}']]))
  expect(checkShells(workspace).map(({ message }) => message)).toEqual([
    'is missing',
    '@millrace/empty has no line in docs/reference/packages.md',
    '@millrace/empty has no description',
    '@millrace/empty has no exports',
    '@millrace/empty is an empty shell',
    '@millrace/empty has no test',
  ])
})

test('compiled tests are not published', () => {
  const files = (...patterns: readonly string[]): string =>
    packageJson('core', {}).replace('{', `{"files":${JSON.stringify(patterns)},`)
  expect(messages({ 'packages/core/package.json': files('dist', 'src') })).toEqual([
    expect.stringContaining('publishes its compiled tests'),
  ])
  expect(messages({ 'packages/core/package.json': files('dist', '!dist/**/*.test.*') })).toEqual([])
})

test('fixtures of tests are published neither as sources nor compiled', () => {
  const found = (path: string, ...patterns: readonly string[]): readonly string[] =>
    messages({
      'packages/core/package.json': packageJson('core', {}).replace(
        '{',
        `{"files":${JSON.stringify(['dist', '!dist/**/*.test.*', 'src', ...patterns])},`,
      ),
      [`packages/core/src/lib/${path}`]: 'export const made = 1\n',
    })
  const both = ['!dist/**/*.fixture.*', '!src/**/*.fixture.ts']
  expect(found('fixtures/small.fixture.ts')).toEqual([expect.stringContaining('publishes fixtures')])
  expect(found('small.fixture.ts', '!src/**/*.fixture.ts')).toHaveLength(1)
  expect(found('fixtures/process.ts', ...both)).toHaveLength(1)
  expect(found('small.fixture.ts', ...both)).toEqual([])
  expect(found('fixtures/process.ts', '!dist/lib/fixtures', '!src/lib/fixtures')).toEqual([])
})

test('an entry that exports nothing is a shell, and one that is not there is found', () => {
  const shell = workspaceOf(
    new Map([
      ['packages/shell/package.json', packageJson('shell', {})],
      ['packages/shell/README.md', 'x'.repeat(400)],
      ['packages/shell/src/index.ts', '// soon\nexport {}\n'],
    ]),
  )
  expect(checkShells(shell).map(({ message }) => message)).toEqual([
    '@millrace/shell has no line in docs/reference/packages.md',
    '@millrace/shell is an empty shell',
    '@millrace/shell has no test',
  ])
  expect(messages({ 'packages/core/package.json': packageJson('core', {}).replace('index.ts', 'gone.ts') })).toEqual([
    'packages/core/package.json @millrace/core exports packages/core/src/gone.ts, which does not exist',
  ])
})
