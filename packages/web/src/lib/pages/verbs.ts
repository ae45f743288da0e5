import { MillraceError } from '@millrace/core'
import type { PageHandler } from './page-context.ts'
import { View, type ViewClass, type ViewFactory, type ViewSource } from './view.ts'

const VERBS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'] as const

export type Verbs = ReadonlyMap<string, PageHandler>

/** A page as it was given. */
export type PageSource = PageHandler | ViewSource

/** What a page does for each method that it was written for; of a factory once it is asked, and then kept. `check` may refuse a handler. */
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
        ? `The factory of the page ${path} gave no object of a class that extends View.`
        : `The page ${path} is no function, no class that extends View, no object of one and no { view: () => … } that makes one.`,
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

/** What is sent as `Allow`: HEAD comes with GET, OPTIONS always. */
export function allowed(verbs: Verbs): string {
  const all = new Set(verbs.keys())
  if (all.has('GET')) all.add('HEAD')
  all.add('OPTIONS')
  return VERBS.map((verb) => verb.toUpperCase())
    .filter((method) => all.has(method))
    .join(', ')
}

/** Methods need their object; a function that a view holds, such as a table route, stays itself. */
function bound(view: View, handler: PageHandler): PageHandler {
  return Object.values(view).includes(handler) ? handler : (c) => handler.call(view, c)
}

function isViewClass(page: PageSource): page is ViewClass {
  return typeof page === 'function' && page.prototype instanceof View
}

function isFactory(page: PageSource): page is ViewFactory {
  return typeof page === 'object' && page !== null && !(page instanceof View) && typeof page.view === 'function'
}
