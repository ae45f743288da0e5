import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { errorTable } from '@millrace/core'
import { expect, test } from 'vitest'
import { errorsPage } from './errors-page.ts'

const root = new URL('../../', import.meta.url)
/** Names that are reserved for examples lead nowhere (RFC 2606). */
const NOWHERE = /https?:\/\/millrace\.(?:example|test|invalid)/
test('each error has its line on the page, once', () => {
  const anchors = [...errorsPage().matchAll(/<a id="(\w+)"><\/a>/g)].map(([, anchor]) => anchor)
  expect(anchors).toEqual(Object.keys(errorTable))
})

test('nothing that is published or deployed leads to a host that is not there', () => {
  const packages = readdirSync(new URL('packages/', root)).map((name) => `packages/${name}`)
  const files = [
    ...packages.flatMap((folder) => [`${folder}/package.json`, `${folder}/README.md`]),
    ...[...packages.flatMap((folder) => [`${folder}/src`, `${folder}/assets`]), 'deploy'].flatMap(filesBelow),
  ]
  expect(files.length).toBeGreaterThan(300)
  expect(files.filter((path) => NOWHERE.test(readFileSync(new URL(path, root), 'utf8')))).toEqual([])
})

function filesBelow(folder: string): readonly string[] {
  const directory = new URL(`${folder}/`, root)
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(?:ts|js|html|css|yml|yaml|json|md)$/.test(path))
    .map((path) => `${folder}/${path}`)
}
