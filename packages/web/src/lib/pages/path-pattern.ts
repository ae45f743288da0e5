import { MillraceError } from '@millrace/core'
import { PageError } from './page-error.ts'

type ParamNames<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? ParamNames<Segment> | ParamNames<Rest>
  : Path extends `:${infer Name}`
    ? Name
    : never

/**
 * The parameters of a path, by name: `/words/:word/` has `{ word: string }`. For a path known only at run time, any
 * name maps to text.
 */
export type PathParams<Path extends string> = string extends Path
  ? AnyParams
  : { readonly [Name in ParamNames<Path>]: string }

/** Parameters of a path unknown to the compiler. */
export type AnyParams = Readonly<Record<string, string>>

/** One part of a path between slashes. */
export type PatternSegment = { readonly literal: string } | { readonly param: string }

const PARAM = /^:[A-Za-z_$][\w$]*$/

/**
 * The segments of a page's path.
 *
 * @throws `DEFINITION_INVALID`
 * @example
 * parsePattern('/words/:word/') // [{ literal: 'words' }, { param: 'word' }]
 */
export function parsePattern(path: string): readonly PatternSegment[] {
  const refuse = (why: string): MillraceError =>
    new MillraceError('DEFINITION_INVALID', `The path ${JSON.stringify(path)} of a page ${why}.`)
  if (!path.startsWith('/')) throw refuse('does not start with a slash')
  if (/[?#]/.test(path)) throw refuse('has a query: read it from c.query')
  const names = new Set<string>()
  return splitPath(path).map((segment) => {
    if (segment === '' || segment === '.' || segment === '..')
      throw refuse('has an empty part, or one of dots, which no request can have')
    if (!segment.startsWith(':')) return { literal: segment }
    const param = segment.slice(1)
    if (!PARAM.test(segment) || param === '__proto__')
      throw refuse(`has a parameter ${JSON.stringify(segment)}: use a letter, then letters, digits and underscores`)
    if (names.has(param)) throw refuse(`has two parameters ${JSON.stringify(param)}`)
    names.add(param)
    return { param }
  })
}

/** What is between the slashes; one slash at the end makes no difference. */
export function splitPath(path: string): readonly string[] {
  return path === '/' ? [] : path.slice(1, path.endsWith('/') ? -1 : undefined).split('/')
}

/** The target of a request. */
export interface RequestTarget {
  readonly url: URL
  /** Decoded one by one, so that a slash within a part (`%2F`) does not split it. */
  readonly segments: readonly string[]
}

/** Throws a `PageError` 400 if decoding fails: a damaged key must not become another key. */
export function readTarget(requestUrl: string): RequestTarget {
  let url: URL
  try {
    url = new URL(requestUrl)
  } catch (error) {
    throw new PageError(400, 'The URL cannot be read.', { cause: error })
  }
  return { url, segments: decode(() => checkQuery(url.search) && splitPath(url.pathname).map(decodeURIComponent)) }
}

/** `URLSearchParams` would insert a replacement character where decoding fails. */
function checkQuery(search: string): true {
  decodeURIComponent(search)
  return true
}

function decode<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new PageError(400, 'The URL has percent signs that encode no text.', { cause: error })
  }
}
