import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')

/** What a file imports as types, which is what its signatures name. */
function namedIn(path: string): readonly string[] {
  return [...read(path).matchAll(/import (type )?\{([^}]*)\} from '[^']+'/g)].flatMap(([, isType, names]) =>
    (names ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && (isType !== undefined || name.startsWith('type ')))
      .map((name) => name.replace('type ', '')),
  )
}

test('every type that the signatures of an app name can be imported with it', () => {
  const exported = new Set(read('./index.ts').match(/\w+/g))
  const declared = [
    'streams/src/lib/declare-streams',
    'tables/src/lib/declare-tables',
    'scheduler/src/lib/declare-jobs',
  ]
  const surface = ['app/src/lib/app', 'app/src/lib/app-events', 'web/src/lib/site/declare-pages', ...declared]
  const named = surface.flatMap((file) => namedIn(`../../${file}.ts`))
  expect(named.length).toBeGreaterThan(60)
  // What makes the declarations, and nobody is given.
  const inside = [
    'OptionNames',
    'DefinedNames',
    'StateContext',
    'StreamsContext',
    'AnyAgent',
    'AnyTopic',
    'AnyTable',
    'ViewDeclarations',
  ]
  const kept = ['AnyGlobalTable', 'KeyRoute', 'PageRegistry', 'PageSource']
  expect(named.filter((name) => !exported.has(name) && ![...inside, ...kept].includes(name))).toEqual([])
})
