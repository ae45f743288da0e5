import { MillraceError } from '@millrace/core'
import type { PageHandler } from './page-context.ts'
import { View, type ViewClass } from './view.ts'

const VERBS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'] as const

export type Verbs = ReadonlyMap<string, PageHandler>

/** What a page does for each method that it was written for. */
export function verbsOf(path: string, page: PageHandler | ViewClass): Verbs {
  if (!isViewClass(page)) {
    if (typeof page === 'function') return new Map([['GET', page]])
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The page ${path} is neither a function nor a class that extends View.`,
    )
  }
  const view: View = new page()
  const verbs = new Map<string, PageHandler>()
  for (const verb of VERBS) {
    const handler = view[verb]
    if (handler !== undefined) verbs.set(verb.toUpperCase(), bound(view, handler))
  }
  if (verbs.size === 0)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The view ${page.name} at ${path} has none of the verbs ${VERBS.join(', ')}.`,
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

function isViewClass(page: PageHandler | ViewClass): page is ViewClass {
  return typeof page === 'function' && page.prototype instanceof View
}
