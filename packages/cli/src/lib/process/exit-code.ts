import { isMillraceError } from '@millrace/core'
import { WrongUsage } from './wrong-usage.ts'

/** 2 for what was typed wrong, 1 for everything else. An app file that was found but fails while it is loaded has a cause: that is a failure. */
export function exitCodeOf(error: unknown): 1 | 2 {
  if (error instanceof WrongUsage || isMillraceError(error, 'COMMAND_USAGE')) return 2
  return isMillraceError(error, 'APP_NOT_FOUND') && error.cause === undefined ? 2 : 1
}
