import { PageError } from '../errors/page-error.ts'
import { splitPath } from './path-pattern.ts'

/** Where a request wants to go. */
export interface Target {
  readonly url: URL
  /** Decoded one by one, so that a slash within a part (`%2F`) stays one. */
  readonly segments: readonly string[]
}

/** Throws a `PageError` 400 for what cannot be decoded: a damaged key must not become another key. */
export function readTarget(requestUrl: string): Target {
  let url: URL
  try {
    url = new URL(requestUrl)
  } catch (error) {
    throw new PageError(400, 'The URL cannot be read.', { cause: error })
  }
  return { url, segments: decode(() => checkQuery(url.search) && splitPath(url.pathname).map(decodeURIComponent)) }
}

/** `URLSearchParams` would put a replacement character where decoding fails. */
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
