import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')

/** Type imports of a file, which are the types named by its signatures. */
function namedIn(path: string): readonly string[] {
  return [...read(path).matchAll(/import (type )?\{([^}]*)\} from '[^']+'/g)].flatMap(([, isType, names]) =>
    (names ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && (isType !== undefined || name.startsWith('type ')))
      .map((name) => name.replace('type ', '')),
  )
}

test('exports every type that an app’s signatures name', () => {
  const exported = new Set(read('./index.ts').match(/\w+/g))
  const declared = [
    'streams/src/lib/declare-streams',
    'tables/src/lib/declare-tables',
    'scheduler/src/lib/declare-jobs',
  ]
  const surface = ['app/src/lib/app', 'app/src/lib/app-events', 'web/src/lib/site/declare-pages', ...declared]
  const named = surface.flatMap((file) => namedIn(`../../${file}.ts`))
  expect(named.length).toBeGreaterThan(60)
  // Types internal to the declarations, which no user receives.
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
