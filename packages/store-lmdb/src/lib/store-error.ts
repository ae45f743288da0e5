import { isMillraceError, MillraceError, toError } from '@millrace/core'

/** Converts an error of LMDB or the file system to one of Millrace. */
export function storeError(thrown: unknown, what: string): MillraceError {
  if (isMillraceError(thrown)) return thrown
  const error = toError(thrown)
  const damaged = /MDB_(CORRUPTED|PAGE_NOTFOUND|INVALID|VERSION_MISMATCH|PANIC|BAD_TXN)/.test(error.message)
  return new MillraceError(
    damaged ? 'STORE_CORRUPT' : 'STORE_FAILED',
    `${what}: ${error.message.replace(/\.$/, '')}.`,
    { cause: error },
  )
}
