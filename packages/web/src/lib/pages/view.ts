import type { AnyParams } from '../paths/path-params.ts'
import type { PageAnswer, PageContext } from './page-context.ts'

/**
 * A page with several verbs: override those that it has, the others are answered with 405. The site makes one object of
 * the class, when the page is defined, and keeps it.
 *
 * HEAD is GET without a body, and OPTIONS tells the verbs, unless they are overridden.
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

/** Makes a view when its page is first asked for, or listed. */
export interface ViewFactory<Params = AnyParams> {
  readonly view: () => View<Params>
}

/** Everything that `page` takes beside a function: a class without arguments, an object of one, or what makes it. */
export type ViewSource<Params = AnyParams> = ViewClass<Params> | View<Params> | ViewFactory<Params>
