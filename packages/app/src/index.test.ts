import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')

/** What a file imports as types from the other packages, which is what its signatures name. */
function namedIn(path: string): readonly string[] {
  return [...read(path).matchAll(/import (type )?\{([^}]*)\} from '@millrace\/[a-z-]+'/g)].flatMap(
    ([, isType, names]) =>
      (names ?? '')
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '' && (isType !== undefined || name.startsWith('type ')))
        .map((name) => name.replace('type ', '')),
  )
}

test('every type that the signatures of an app name can be imported with it', () => {
  const exported = new Set(read('./index.ts').match(/\w+/g))
  const surface = ['app', 'declarations', 'app-events']
  const named = surface.flatMap((file) => namedIn(`./lib/${file}.ts`))
  expect(named.length).toBeGreaterThan(40)
  // What the app takes apart itself, and nobody is given.
  const inside = ['OptionNames', 'AnyParams', 'AnyTable', 'GlobalTable as AnyGlobalTable', 'Table as AnyTable']
  expect(named.filter((name) => !exported.has(name) && !inside.includes(name))).toEqual([])
})
