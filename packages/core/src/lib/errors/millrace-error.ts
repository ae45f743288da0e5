import { DOCS_ADDRESS } from './docs-address.ts'
import { errorTable, type ErrorCode, type ErrorEntry } from './error-table.ts'

/**
 * An error with a stable code, a title, what happened here (naming the setting, topic, table or key), and what to do.
 *
 * @example
 * throw new MillraceError('TOPIC_MISSING', 'Topic "posts" does not exist on kafka://localhost:9092.')
 */
export class MillraceError extends Error {
  override readonly name: string = 'MillraceError'
  readonly code: ErrorCode
  /** What happened here, without title and fix. */
  readonly detail: string
  /** What to do about it, where that is not for the detail or the cause to say. */
  readonly fix: string | undefined

  constructor(code: ErrorCode, detail: string, options?: { readonly cause?: unknown }) {
    const { fix }: ErrorEntry = errorTable[code]
    super(fix === undefined ? `${code}: ${detail}` : `${code}: ${asSentence(detail)} ${fix}`, options)
    this.code = code
    this.detail = detail
    this.fix = fix
  }

  /** Address of the page about its code. */
  get docs(): string {
    return `${DOCS_ADDRESS}reference/errors#${this.code}`
  }
}

/** Details that end in somebody else's words may lack the stop. */
function asSentence(detail: string): string {
  return /[.!?]$/.test(detail) ? detail : `${detail}.`
}

/** True for a `MillraceError` (also of another copy of this package), of one of the codes if any are given. */
export function isMillraceError(error: unknown, ...codes: readonly ErrorCode[]): error is MillraceError {
  if (!(error instanceof Error) || error.name !== 'MillraceError' || !('code' in error)) return false
  return codes.length === 0 || codes.some((code) => code === error.code)
}
