import { expect, expectTypeOf, test } from 'vitest'
import { smallSite } from '../fixtures/small-site.fixture.ts'
import { numberTable, textTable } from '../fixtures/small-table.fixture.ts'
import type { PageContext, PageHandler } from '../pages/page-context.ts'
import { View } from '../pages/view.ts'
import type { AnyParams, PathParams } from '../pages/path-pattern.ts'

test('parameters are typed from the path', () => {
  expectTypeOf<PathParams<'/words/:word/'>>().toEqualTypeOf<{ readonly word: string }>()
  expectTypeOf<PathParams<'/a/:one/b/:two'>>().toEqualTypeOf<{ readonly one: string; readonly two: string }>()
  expectTypeOf<PathParams<string>>().toEqualTypeOf<AnyParams>()
  const { site } = smallSite()
  site.page('/words/:word/', (c) => {
    expectTypeOf(c.params.word).toEqualTypeOf<string>()
    // @ts-expect-error the path has no such parameter
    return c.text(c.params.wrod)
  })
  class Words extends View<{ readonly word: string }> {
    override get(c: PageContext<{ readonly word: string }>): Response {
      return c.text(c.params.word)
    }
  }
  site.page('/view/:word/', Words)
  expect(() => {
    // @ts-expect-error the view reads another parameter
    site.page('/view/:id/:x/', Words)
  }).not.toThrow()
  class Missing extends View {
    // @ts-expect-error a view has no such verb
    override fetch(c: PageContext): Response {
      return c.text('')
    }
  }
  expect(Missing).toBeDefined()
})

test('a wrong parameter of a table route does not compile, and the key has the table’s type', () => {
  const { site, contexts } = smallSite()
  const words = textTable('words', contexts)
  const numbers = numberTable('numbers', contexts)
  site.page(
    '/words/:word/',
    site.tableRoute(words, { param: 'word' }, (c, word) => {
      expectTypeOf(word).toEqualTypeOf<string>()
      expectTypeOf(c.params.word).toEqualTypeOf<string>()
      return c.json({ [word]: words.get(word) })
    }),
  )
  site.page(
    '/numbers/',
    site.tableRoute(numbers, { query: 'n' }, (c, n) => {
      expectTypeOf(n).toEqualTypeOf<number>()
      return c.json(numbers.get(n))
    }),
  )
  const wrong = site.tableRoute(words, { param: 'wrod' }, (c) => c.text(''))
  expect(() => {
    // @ts-expect-error the path has no parameter of this name
    site.page('/wrong/:word/', wrong)
  }).toThrow('wrod')
  class Routed extends View {
    override get = site.tableRoute(words, { param: 'word' }, (c, word) => c.text(word))
    override post(c: PageContext): Response {
      return c.text('')
    }
  }
  site.page('/routed/:word/', Routed)
  expect(() => {
    // @ts-expect-error the path has no parameter of this name
    site.page('/misrouted/:id/', Routed)
  }).toThrow('word')
  expectTypeOf(site.tableRoute(words, { query: 'q' }, (c) => c.text(''))).toEqualTypeOf<PageHandler>()
})
