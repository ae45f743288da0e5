import { expect, test } from 'vitest'
import { checkDecisionIndex, checkLinks } from './links.ts'
import { planted } from './planted.ts'

const messages = (files: Readonly<Record<string, string>>): readonly string[] =>
  checkLinks(planted(files)).map(({ file, message }) => `${file} ${message}`)

test('links to files, directories, headings and other sites pass', () => {
  const readme =
    '[a](../app) [b](../app/README.md#what-it-is--and-is-not) [c](#own) [d](https://example.com/x)\n## Own\n```md\n[no](link)\n```\n'
  expect(
    messages({ 'packages/core/README.md': readme, 'packages/app/README.md': '## What it *is*, – and is not\n' }),
  ).toEqual([])
})

test('a link to what is not there is found', () => {
  expect(
    messages({ 'packages/core/README.md': '[a](../gone) [b](../app/README.md#gone) [c](../../docs/gone.md)' }),
  ).toEqual([
    'packages/core/README.md links to ../gone, which is not there',
    'packages/core/README.md links to ../app/README.md#gone, but there is no such heading',
    'packages/core/README.md links to ../../docs/gone.md, which is not there',
  ])
})

test('a page that a message or the dashboard names must exist', () => {
  const source = "throw new Error('Nothing: see docs/guide/tables.md and docs/gone.md.')\n"
  expect(
    messages({
      'packages/core/src/lib/anything.ts': source,
      'packages/dashboard/assets/page.js': source,
      'docs/guide/tables.md': '',
    }),
  ).toEqual([
    'packages/core/src/lib/anything.ts sends its reader to docs/gone.md, which is not there',
    'packages/dashboard/assets/page.js sends its reader to docs/gone.md, which is not there',
  ])
})

test('a decision without a line in the index is found', () => {
  const files = {
    'decisions/README.md': '| [001: Headers](001-headers.md) | accepted |\n',
    'decisions/001-headers.md': '# 001: Headers\n',
    'decisions/002-names.md': '# 002: Names\n',
  }
  expect(checkDecisionIndex(planted(files))).toEqual([
    { file: 'decisions/002-names.md', message: 'has no line in decisions/README.md' },
  ])
  const withoutIndex = { 'decisions/001-headers.md': '# 001: Headers\n' }
  expect(checkDecisionIndex(planted(withoutIndex))).toHaveLength(1)
})
