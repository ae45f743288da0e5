import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { DOCS_ADDRESS, errorTable, MillraceError, type ErrorCode } from '@millrace/core'
import { expect, test } from 'vitest'
import { errorsPage } from './errors-page.ts'

const root = new URL('../../', import.meta.url)

/** What a link to the documentation leads to, and whether that is there. */
function leads(address: string): boolean {
  if (!address.startsWith(DOCS_ADDRESS)) return false
  const [page = '', anchor] = address.slice(DOCS_ADDRESS.length).split('#')
  const file = new URL(`docs/${page === '' || page.endsWith('/') ? `${page}index` : page}.md`, root)
  if (!existsSync(file)) return false
  return anchor === undefined || readFileSync(file, 'utf8').includes(`<a id="${anchor}"></a>`)
}

test('the address of each error leads to its line', () => {
  const codes = Object.keys(errorTable) as ErrorCode[]
  expect(codes.filter((code) => !leads(new MillraceError(code, 'It went wrong.').docs))).toEqual([])
  // Each line once, and no anchor beside those of codes.
  const anchors = [...errorsPage().matchAll(/<a id="(\w+)"><\/a>/g)].map(([, anchor]) => anchor)
  expect(anchors).toEqual(codes)
  expect(leads(`${DOCS_ADDRESS}reference/errors#NO_SUCH_CODE`)).toBe(false)
  expect(leads(`${DOCS_ADDRESS}reference/nothing`)).toBe(false)
})

test('pages that the sources lead to by address are there', () => {
  const files = [
    'packages/cli/src/lib/arguments/yargs-engine.ts',
    ...readdirSync(new URL('packages/dashboard/assets/', root)).map((name) => `packages/dashboard/assets/${name}`),
  ]
  const pages = files.flatMap((file) => {
    const text = readFileSync(new URL(file, root), 'utf8')
    const links = /\$\{DOCS_ADDRESS\}(?<code>[\w/-]+)|docsLink\('(?<asset>[\w/-]+)'|data-docs="(?<html>[\w/-]*)"/g
    return [...text.matchAll(links)].map(({ groups = {} }) => groups['code'] ?? groups['asset'] ?? groups['html'] ?? '')
  })
  expect(pages).toEqual(expect.arrayContaining(['guide/command-line', 'guide/agents', 'guide/tables', '']))
  expect(pages.filter((page) => !leads(`${DOCS_ADDRESS}${page}`))).toEqual([])
})

test('published packages have the documentation for their home, and say where they are kept', () => {
  const packages = readdirSync(new URL('packages/', root))
  const wrong = packages.filter((name) => {
    const file = fileURLToPath(new URL(`packages/${name}/package.json`, root))
    const { homepage, repository, private: isPrivate }: Manifest = JSON.parse(readFileSync(file, 'utf8'))
    if (isPrivate === true) return false
    return (
      homepage !== DOCS_ADDRESS ||
      repository?.directory !== `packages/${name}` ||
      repository.url !== `git+${DOCS_ADDRESS}millrace.git`
    )
  })
  expect(wrong).toEqual([])
})

interface Manifest {
  readonly private?: boolean
  readonly homepage?: string
  readonly repository?: { readonly url: string; readonly directory?: string }
}
