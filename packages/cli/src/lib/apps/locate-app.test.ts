import { mkdtempSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { locateApp, splitTarget } from './locate-app.ts'

let directory = ''

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-locate-')))
  mkdirSync(join(directory, 'src', 'deep'), { recursive: true })
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ millrace: { app: './src/app.ts:main' } }))
  writeFileSync(join(directory, 'src', 'app.ts'), '')
  writeFileSync(join(directory, 'src', 'other.mjs'), '')
})

afterEach(() => rmSync(directory, { recursive: true }))

test('-A wins over the variable, the variable over package.json', () => {
  const both = { option: 'src/app.ts', variable: 'src/other.mjs', directory }
  expect(locateApp(both)).toEqual({ file: join(directory, 'src/app.ts'), exportName: undefined, namedBy: '-A' })
  expect(locateApp({ ...both, option: undefined })?.file).toBe(join(directory, 'src/other.mjs'))
})

test('package.json is found in a parent directory, and its path is relative to it', () => {
  const found = locateApp({ option: undefined, variable: undefined, directory: join(directory, 'src', 'deep') })
  expect(found).toEqual({
    file: join(directory, 'src/app.ts'),
    exportName: 'main',
    namedBy: join(directory, 'package.json'),
  })
})

test('an extension may be left out', () => {
  expect(locateApp({ option: './src/app:one', variable: undefined, directory })).toMatchObject({
    file: join(directory, 'src/app.ts'),
    exportName: 'one',
  })
})

test('there is no app if nothing names one', () => {
  writeFileSync(join(directory, 'package.json'), '{}')
  expect(locateApp({ option: undefined, variable: undefined, directory })).toBeUndefined()
})

test('a missing file is reported with its full path and its source', () => {
  expect(() => locateApp({ option: './nope.ts', variable: undefined, directory })).toThrow(join(directory, 'nope.ts'))
  expect(() => locateApp({ option: undefined, variable: './nope.ts', directory })).toThrow('named by MILLRACE_APP')
  expect(() => locateApp({ option: undefined, variable: ' ', directory })).toThrow('MILLRACE_APP is set and blank')
})

test('a package.json that cannot be read', () => {
  writeFileSync(join(directory, 'package.json'), '{')
  expect(() => locateApp({ option: undefined, variable: undefined, directory })).toThrow(
    join(directory, 'package.json'),
  )
})

test.each([
  ['./app.ts', './app.ts', undefined],
  ['./app.ts:app', './app.ts', 'app'],
  ['/a:b/app.ts', '/a:b/app.ts', undefined],
  ['C:\\apps\\app.ts', 'C:\\apps\\app.ts', undefined],
  ['C:\\apps\\app.ts:$one', 'C:\\apps\\app.ts', '$one'],
  [':app', ':app', undefined],
])('%s is path and export', (text, path, exportName) => {
  expect(splitTarget(text)).toEqual({ path, exportName })
})
