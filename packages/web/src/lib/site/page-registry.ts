import { MillraceError } from '@millrace/core'
import type { PageListing } from '../built-in/site-tools.ts'
import { allowed, type Verbs } from '../pages/view.ts'
import { parsePattern, type AnyParams } from '../pages/path-pattern.ts'
import { PathTable } from '../pages/path-table.ts'

/** What answers at a path. */
export interface Page {
  readonly path: string
  /** Throws what a factory throws. */
  readonly verbs: () => Verbs
  readonly builtIn: boolean
  /** Whether anyone may see it. */
  readonly isOpen: () => boolean
  /** Whether it answers regardless of the number of requests in flight. */
  readonly always: boolean
  /** For a built-in page: whether it is served on every port, even if there is a separate `web.adminPort`. */
  readonly everywhere: boolean
  /** For a built-in page. */
  readonly help?: string | undefined
}

/** All pages of a site, by their paths. */
export class PageRegistry {
  readonly #table: PathTable<Page> = new PathTable()
  readonly #pages: Page[] = []
  /** Path parameters that table routes read, checked when the handler becomes a page. */
  readonly #paramOf = new WeakMap<object, string>()

  /** Records that the handler reads this path parameter: it may only become a page whose path has it. */
  reads(handler: object, param: string): void {
    this.#paramOf.set(handler, param)
  }

  /** Throws `NAME_TAKEN`, and `DEFINITION_INVALID` for an invalid path. Only the built-in page `/` can be replaced. */
  add(page: Page): void {
    const segments = parsePattern(page.path)
    const existing = this.#table.get(segments)
    if (existing !== undefined && !(existing.builtIn && segments.length === 0)) {
      throw new MillraceError(
        'NAME_TAKEN',
        `There is a ${existing.builtIn ? 'built-in ' : ''}page ${existing.path} already; ${page.path} cannot be defined too.`,
      )
    }
    this.#table.set(segments, page)
    if (existing === undefined) this.#pages.push(page)
    else this.#pages.splice(this.#pages.indexOf(existing), 1, page)
  }

  find(segments: readonly string[]): { readonly value: Page; readonly params: AnyParams } | undefined {
    return this.#table.find(segments)
  }

  list(): readonly PageListing[] {
    return this.#pages.map(({ path, verbs, builtIn, isOpen, help }) => ({
      path,
      methods: allowed(verbs()).split(', '),
      builtIn,
      open: isOpen(),
      help,
    }))
  }

  /** Throws `DEFINITION_INVALID` if the handler reads a parameter that the path lacks. */
  checkParam(path: string, handler: object): void {
    const param = this.#paramOf.get(handler)
    if (param === undefined || parsePattern(path).some((segment) => 'param' in segment && segment.param === param))
      return
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The table route at ${path} reads the parameter "${param}", which the path does not have.`,
    )
  }
}
