import type { Logger as MillraceLogger } from '@millrace/app'
import { Logger } from '@nestjs/common'

/** The worker's log as lines of Nest's, whatever logger the application has. */
export function nestLog(logger: Logger = new Logger('Millrace')): MillraceLogger {
  return {
    debug: (fields, message) => logger.debug(line(fields, message)),
    info: (fields, message) => logger.log(line(fields, message)),
    warn: (fields, message) => logger.warn(line(fields, message)),
    error: (fields, message) => logger.error(line(fields, message)),
  }
}

function line(fields: object, message: string): object | string {
  return Object.keys(fields).length === 0 ? message : { message, ...fields }
}
