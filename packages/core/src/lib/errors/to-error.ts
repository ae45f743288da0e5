import { isMillraceError } from './millrace-error.ts'

/** What was thrown, as an `Error`. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(typeof thrown === 'string' ? thrown : `Thrown: ${String(thrown)}`)
}

/**
 * What happened, for the middle of another message: without the code and the advice that a `MillraceError` has in its
 * own, so that neither is said twice.
 */
export function errorText(thrown: unknown): string {
  const error = toError(thrown)
  return isMillraceError(error) ? error.detail : error.message
}
