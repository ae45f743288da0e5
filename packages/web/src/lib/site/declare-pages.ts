import { checkOptions, MillraceError } from '@millrace/core'
import type { PageHandler } from '../pages/page-context.ts'
import { PageError } from '../pages/page-error.ts'
import type { AnyParams, PathParams } from '../pages/path-pattern.ts'
import { type PageSource, verbsOf, type ViewSource } from '../pages/view.ts'
import type { KeyHandler, KeyRoute, ParamsWith } from '../routing/key-route.ts'
import type { RoutableTable } from '../site-app.ts'
import type { PageRegistry } from './page-registry.ts'

/** How an app declares pages. */
export interface PageDeclarations {
  /**
   * Defines a page that every worker serves: a function for GET and HEAD, or a `View`. A view may be a class without
   * constructor arguments, an object (with what it needs passed in), or `{ view: () => … }`, which creates the object
   * when the page is first requested. Parts of the path that start with a colon are parameters; a trailing slash makes
   * no difference; literal parts take precedence over parameters. Only the built-in page `/` can be replaced.
   *
   * @throws `DEFINITION_INVALID`, `NAME_TAKEN`
   * @example
   * app.page('/count/', (c) => c.json({ count: ++count }))
   * app.page('/orders/', new OrdersView(database))
   */
  page<const Path extends string>(path: Path, page: PageHandler<PathParams<Path>> | ViewSource<PathParams<Path>>): void

  /**
   * A page function for one key of a table: it runs on the worker that has the key, whichever worker received the
   * request. The key is read from the path or the query in the table's text form, and encoded as the table encodes it.
   *
   * @example
   * app.page('/words/:word/', app.tableRoute(counts, { param: 'word' }, (c, word) => c.json({ [word]: counts.get(word) })))
   */
  tableRoute<K, const Name extends string>(
    table: RoutableTable<K>,
    place: { readonly param: Name },
    handler: KeyHandler<ParamsWith<Name>, K>,
  ): PageHandler<ParamsWith<Name>>
  tableRoute<K>(
    table: RoutableTable<K>,
    place: { readonly query: string },
    handler: KeyHandler<AnyParams, K>,
  ): PageHandler
}

export function declarePages(pages: PageRegistry, route: KeyRoute): PageDeclarations {
  function tableRoute<K, const Name extends string>(
    table: RoutableTable<K>,
    place: { readonly param: Name },
    handler: KeyHandler<ParamsWith<Name>, K>,
  ): PageHandler<ParamsWith<Name>>
  function tableRoute<K>(
    table: RoutableTable<K>,
    place: { readonly query: string },
    handler: KeyHandler<AnyParams, K>,
  ): PageHandler
  function tableRoute<K>(
    table: RoutableTable<K>,
    place: { readonly param: string } | { readonly query: string },
    handler: KeyHandler<AnyParams, K>,
  ): PageHandler {
    checkOptions(`tableRoute of table "${table.name}"`, place, { param: true, query: true })
    if (!('param' in place || 'query' in place))
      throw new MillraceError(
        'DEFINITION_INVALID',
        `The tableRoute of table "${table.name}" does not say where the key is: give it { param: 'name' } or { query: 'name' }.`,
      )
    const served: PageHandler = (c) => {
      const text = 'param' in place ? c.params[place.param] : (c.query.get(place.query) ?? undefined)
      if (text === undefined)
        throw new PageError(
          400,
          `The key of table "${table.name}" is missing: ${'param' in place ? `:${place.param} in the path` : `?${place.query}= in the query`}.`,
        )
      return route.serve({ table, text, c, answer: () => handler(c, table.keyOf(text)) })
    }
    if ('param' in place) pages.reads(served, place.param)
    return served
  }
  return {
    page: (path, page) => {
      // The table and the compiler know the path's parameters here.
      const verbs = verbsOf(path, page as PageSource, (handler) => pages.checkParam(path, handler))
      pages.add({ path, verbs, builtIn: false, isOpen: () => true, always: false, everywhere: true })
    },
    tableRoute,
  }
}
