import type { OutgoingRecord, RawHeaders } from '../../contracts/record.ts'
import { errorTable, type ErrorCode, type ErrorEntry } from './error-table.ts'

/**
 * An error with a stable code, a title, the details (naming the setting, topic, table or key), and what to do.
 *
 * @example
 * throw new MillraceError('TOPIC_MISSING', 'Topic "posts" does not exist on kafka://localhost:9092.')
 */
export class MillraceError extends Error {
  override readonly name: string = 'MillraceError'
  readonly code: ErrorCode
  /** The details, without title and fix. */
  readonly detail: string
  /** What to do about it; `undefined` if the detail or the cause says it. */
  readonly fix: string | undefined

  constructor(code: ErrorCode, detail: string, options?: { readonly cause?: unknown }) {
    const { fix }: ErrorEntry = errorTable[code]
    super(fix === undefined ? `${code}: ${detail}` : `${code}: ${asSentence(detail)} ${fix}`, options)
    this.code = code
    this.detail = detail
    this.fix = fix
  }
}

/** Details that end in a text of others may lack the full stop. */
function asSentence(detail: string): string {
  return /[.!?]$/.test(detail) ? detail : `${detail}.`
}

/** True for a `MillraceError` (even of another copy of this package) with one of the codes, if any are given. */
export function isMillraceError(error: unknown, ...codes: readonly ErrorCode[]): error is MillraceError {
  if (!(error instanceof Error) || error.name !== 'MillraceError' || !('code' in error)) return false
  return codes.length === 0 || codes.some((code) => code === error.code)
}

/** The broker has permanently refused a record of an event. Its cause is the broker's error. */
export class RecordRefusedError extends MillraceError {
  /** Topic of the record. */
  readonly topic: string
  /** Headers of the record. */
  readonly headers: RawHeaders

  constructor(record: Pick<OutgoingRecord, 'topic' | 'headers'>, detail: string, options: { readonly cause: unknown }) {
    super('RECORD_REFUSED', detail, options)
    this.topic = record.topic
    this.headers = record.headers
  }

  /** Whether the broker refused the record for its size. */
  get isTooLarge(): boolean {
    return isMillraceError(this.cause, 'RECORD_TOO_LARGE')
  }
}

/**
 * A codec lacks something from outside the process, which it has asked for. An event that fails with it is handed out
 * again after `until`, without counting an attempt.
 */
export class CodecWaitsError extends MillraceError {
  /** Resolves when decoding can be tried again. Never rejects. */
  readonly until: Promise<void>

  constructor(detail: string, until: Promise<void>) {
    super('CODEC_WAITS', detail)
    this.until = until
  }
}

/** What the error, or one of its causes, waits for; `undefined` if it does not wait. */
export function codecWait(thrown: unknown): Promise<void> | undefined {
  let error = thrown
  for (let depth = 0; depth < MOST_CAUSES && error instanceof Error; depth++) {
    if (error instanceof CodecWaitsError) return error.until
    error = error.cause
  }
  return undefined
}

/** Causes may form a ring. */
const MOST_CAUSES = 8

/** Converts a thrown value to an `Error`. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(typeof thrown === 'string' ? thrown : `Thrown: ${String(thrown)}`)
}

/**
 * The text of an error for the middle of another message: without the code and the advice of a `MillraceError`, which
 * the other message has itself.
 */
export function errorText(thrown: unknown): string {
  const error = toError(thrown)
  return isMillraceError(error) ? error.detail : error.message
}

/**
 * `CLOSED`, for work that the end of its worker has interrupted. `reason` is that of the worker's signal: the error of
 * a failed worker becomes the cause, and the message mentions it.
 */
export function closedError(what: string, reason: unknown): MillraceError {
  if (reason === undefined || isMillraceError(reason, 'CLOSED')) return new MillraceError('CLOSED', `${what}.`)
  return new MillraceError('CLOSED', `${what}, because the worker has failed: ${errorText(reason)}`, {
    cause: toError(reason),
  })
}

/** Whether an error reports an attempt to change a frozen object. JavaScript has no code for that, only these words. */
export function isChangeOfFrozen(thrown: unknown): thrown is TypeError {
  return (
    thrown instanceof TypeError &&
    /read only property|object is not extensible|^Cannot (delete|define|redefine) property/.test(thrown.message)
  )
}
