import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describeSettings, errorTable } from '@millrace/core'
import { errorsPage } from './errors-page.ts'
import { generatedPages, stalePages, writePages } from './generated-pages.ts'
import { markdownTable } from './markdown-table.ts'
import { settingsPage } from './settings-page.ts'

test('every error and every setting is on its page once', () => {
  const errors = errorsPage().split('\n')
  for (const code of Object.keys(errorTable))
    expect(
      errors.filter((line) => line.startsWith(`| <a id="${code}"></a>\`${code}\` |`)),
      code,
    ).toHaveLength(1)
  const settings = settingsPage().split('\n')
  for (const { name } of describeSettings())
    expect(
      settings.filter((line) => line.startsWith(`| \`${name}\` |`)),
      name,
    ).toHaveLength(1)
})

test('a page that is missing or changed is stale until it is written', async () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
  try {
    const pages = await generatedPages()
    expect(stalePages(root, pages)).toEqual(pages.map(({ path }) => path))
    writePages(root, pages)
    expect(stalePages(root, pages)).toEqual([])
    appendFileSync(join(root, 'docs/reference/errors.md'), 'by hand')
    expect(stalePages(root, pages)).toEqual(['docs/reference/errors.md'])
  } finally {
    rmSync(root, { recursive: true })
  }
})

test('cells cannot break their table', () => {
  expect(markdownTable(['a'], [['x | y\nz']])).toBe('| a |\n| --- |\n| x \\| y z |\n')
})
