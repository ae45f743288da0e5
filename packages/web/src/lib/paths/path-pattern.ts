import { MillraceError } from '@millrace/core'

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
