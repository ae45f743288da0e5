import type { JsonObject } from '../pages/json-text.ts'

export interface PageErrorOptions {
  readonly cause?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Beside `error` in the answer. */
  readonly extra?: JsonObject
}

/**
 * Thrown by a page: the answer has this status and the body `{ "error": message }`. Anything else that is thrown is
 * answered with a status of its own where it is an error of Millrace that says why, and with 500 and no details otherwise.
 *
 * @example
 * if (!counts.has(word)) throw new PageError(404, `Never seen: ${word}`)
 */
export class PageError extends Error {
  override readonly name: string = 'PageError'
  /** 400 to 599. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly extra: JsonObject

  constructor(status: number, message: string, { cause, headers = {}, extra = {} }: PageErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
    this.headers = headers
    this.extra = extra
  }
}
