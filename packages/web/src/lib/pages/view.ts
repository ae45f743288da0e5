import { MillraceError } from '@millrace/core'
import type { AnyParams } from './path-pattern.ts'
import type { PageAnswer, PageContext, PageHandler } from './page-context.ts'

/**
 * A page with several verbs. Override the verbs that it supports; others are answered with 405. The site creates one
 * object of the class when the page is defined, and keeps it.
 *
 * HEAD defaults to GET without a body, and OPTIONS to the list of verbs.
 *
 * @example
 * class Counter extends View {
 *   count = 0
 *   override get(c: PageContext) { return c.json({ count: this.count }) }
 *   override post(c: PageContext) { this.count += 1; return c.json({ count: this.count }) }
 * }
 * app.page('/counter/', Counter)
 */
export abstract class View<Params = AnyParams> {
  get?(c: PageContext<Params>): PageAnswer
  head?(c: PageContext<Params>): PageAnswer
  post?(c: PageContext<Params>): PageAnswer
  put?(c: PageContext<Params>): PageAnswer
  patch?(c: PageContext<Params>): PageAnswer
  delete?(c: PageContext<Params>): PageAnswer
  options?(c: PageContext<Params>): PageAnswer
}

/** A class view, as `page` takes it. */
export type ViewClass<Params = AnyParams> = new () => View<Params>

/** Creates a view when its page is first requested or listed. */
export interface ViewFactory<Params = AnyParams> {
  readonly view: () => View<Params>
}

/** What `page` takes besides a function: a class without constructor arguments, an object of one, or a factory. */
export type ViewSource<Params = AnyParams> = ViewClass<Params> | View<Params> | ViewFactory<Params>

const VERBS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'] as const

export type Verbs = ReadonlyMap<string, PageHandler>

/** A page as it was given to the site. */
export type PageSource = PageHandler | ViewSource

/** The handlers of a page by method; a factory runs on first use. `check` may refuse a handler. */
export function verbsOf(path: string, page: PageSource, check: (handler: PageHandler) => void = () => {}): () => Verbs {
  const checked = (): Verbs => {
    const found = read(path, page)
    for (const handler of found.values()) check(handler)
    return found
  }
  const verbs = isFactory(page) ? undefined : checked()
  if (verbs !== undefined) return () => verbs
  let made: Verbs | undefined
  return () => (made ??= checked())
}

function read(path: string, page: PageSource): Verbs {
  if (typeof page === 'function' && !isViewClass(page)) return new Map([['GET', page]])
  const view: unknown = isFactory(page) ? page.view() : isViewClass(page) ? new page() : page
  if (!(view instanceof View))
    throw new MillraceError(
      'DEFINITION_INVALID',
      isFactory(page)
        ? `The factory of the page ${path} returned no object of a class that extends View.`
        : `The page ${path} must be a function, a class that extends View, an object of one, or { view: () => … }.`,
    )
  const verbs = new Map<string, PageHandler>()
  for (const verb of VERBS) {
    const handler = view[verb]
    if (handler !== undefined) verbs.set(verb.toUpperCase(), bound(view, handler))
  }
  if (verbs.size === 0)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The view ${view.constructor.name} at ${path} has none of the verbs ${VERBS.join(', ')}.`,
    )
  return verbs
}

/** The `Allow` header: GET implies HEAD, and OPTIONS is always allowed. */
export function allowed(verbs: Verbs): string {
  const all = new Set(verbs.keys())
  if (all.has('GET')) all.add('HEAD')
  all.add('OPTIONS')
  return VERBS.map((verb) => verb.toUpperCase())
    .filter((method) => all.has(method))
    .join(', ')
}

/** Methods need their object; a function stored in a view, such as a table route, is passed on unchanged. */
function bound(view: View, handler: PageHandler): PageHandler {
  return Object.values(view).includes(handler) ? handler : (c) => handler.call(view, c)
}

function isViewClass(page: PageSource): page is ViewClass {
  return typeof page === 'function' && page.prototype instanceof View
}

function isFactory(page: PageSource): page is ViewFactory {
  return typeof page === 'object' && page !== null && !(page instanceof View) && typeof page.view === 'function'
}
