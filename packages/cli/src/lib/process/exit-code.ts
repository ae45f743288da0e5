import { isMillraceError } from '@millrace/core'
import { WrongUsage } from './wrong-usage.ts'

/** 2 for what was typed wrong, 1 for everything else: an app file that was found and fails while it is loaded, too. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof WrongUsage || isMillraceError(error, 'COMMAND_USAGE', 'APP_NOT_FOUND') ? 2 : 1
}
