import { isMillraceError } from '@millrace/core'

/** Something typed was refused by the app: `reason` is what is shown, and the exit code is 2. */
export class WrongUsage extends Error {
  override readonly name: string = 'WrongUsage'
  readonly reason: Error

  constructor(reason: Error) {
    super(reason.message, { cause: reason })
    this.reason = reason
  }
}

/** 2 for what was typed wrong, 1 for everything else: an app file that was found and fails while it is loaded, too. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof WrongUsage || isMillraceError(error, 'COMMAND_USAGE', 'APP_NOT_FOUND') ? 2 : 1
}
