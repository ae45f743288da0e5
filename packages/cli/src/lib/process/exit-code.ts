import { isMillraceError } from '@millrace/core'

/** The app refused a typed value: `reason` is shown, and the exit code is 2. */
export class WrongUsage extends Error {
  override readonly name: string = 'WrongUsage'
  readonly reason: Error

  constructor(reason: Error) {
    super(reason.message, { cause: reason })
    this.reason = reason
  }
}

/** 2 for wrong usage, 1 for everything else, such as an app file that fails to load. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof WrongUsage || isMillraceError(error, 'COMMAND_USAGE', 'APP_NOT_FOUND') ? 2 : 1
}
