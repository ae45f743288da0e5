import { isMillraceError, type ErrorCode, jsonText, type Redact, redactText } from '@millrace/core'

export type JsonObject = Readonly<Record<string, unknown>>

export interface PageErrorOptions {
  readonly cause?: unknown
  /** A name of the error for programs, such as `NO_SUCH_ORDER`: the header `millrace-error`. Default: none. */
  readonly code?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** Fields beside `error` in the answer. */
  readonly extra?: JsonObject
}

/**
 * Thrown by a page: the answer has this status and the body `{ "error": message }`. For any other error, the status is
 * the one of its Millrace error code where a client can use it; otherwise it is 500 without details. A Millrace
 * error's code is in the header `millrace-error`.
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

  constructor(status: number, message: string, { cause, code, headers = {}, extra = {} }: PageErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
    this.headers = code === undefined ? headers : { ...headers, [CODE_HEADER]: code }
    this.extra = extra
  }
}

/** Response header: the code of the error. */
const CODE_HEADER = 'millrace-error'

/** Seconds after which a client may try again when no owner was found. */
const RETRY_AFTER_S = 1

/** Millrace errors that a client can react to, if only by waiting. All other errors become 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  KEY_INVALID: 400,
  RANGE_UNORDERED: 400,
  READ_INVALID: 400,
  DEAD_LETTER_FOREIGN: 409,
  RECORD_TOO_LARGE: 413,
  PARTITION_NOT_LOCAL: 503,
  CODEC_WAITS: 503,
  NO_WORKER: 503,
  BROKER_UNREACHABLE: 503,
  CHANNEL_CLOSED: 503,
  CLOSED: 503,
  LEASE_EXPIRED: 503,
  ASK_TIMEOUT: 504,
  READ_TIMEOUT: 504,
}

/** The part that a client gets. */
export interface Failure {
  readonly status: number
  readonly response: Response
}

/** The answer to a thrown error: never a stack, and no details meant for the log only. */
export function errorAnswer(thrown: unknown, redact: Redact = redactText): Failure {
  const error = asPageError(thrown)
  const { status, message, headers, extra } = error
  return {
    status,
    response: new Response(jsonText({ ...extra, error: redact(message) }), {
      status,
      headers: { 'content-type': 'application/json', ...headers },
    }),
  }
}

/** Parses a body as JSON; a `PageError` 400 if it is not JSON. */
export function parseBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new PageError(400, 'The body is not JSON.', { cause: error })
  }
}

/** A 503 that asks the client to try again. */
export function unavailable(
  message: string,
  cause?: unknown,
  options: Omit<PageErrorOptions, 'cause'> = {},
): PageError {
  const headers = { ...options.headers, 'retry-after': String(RETRY_AFTER_S) }
  return new PageError(503, message, { ...options, cause, headers })
}

function asPageError(thrown: unknown): PageError {
  if (thrown instanceof PageError) return validStatus(thrown)
  if (!isMillraceError(thrown)) return new PageError(500, 'The page failed. What happened is in the log of the worker.')
  const { code, detail } = thrown
  const status = STATUS[code]
  if (status === undefined)
    return new PageError(500, `The page failed (${code}). What happened is in the log of the worker.`, {
      code,
    })
  return status === 503 ? unavailable(detail, thrown, { code }) : new PageError(status, detail, { cause: thrown, code })
}

function validStatus(error: PageError): PageError {
  const { status } = error
  return Number.isInteger(status) && status >= 400 && status <= 599 ? error : new PageError(500, error.message, error)
}
