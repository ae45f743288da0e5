import type { Logger as MillraceLogger } from '@millrace/app'
import { Logger } from '@nestjs/common'

/** The worker's log as lines of Nest's, whatever logger the application has. */
export function nestLog(logger: Logger = new Logger('Millrace')): MillraceLogger {
  return {
    debug: (fields, message) => logger.debug({ message, ...fields }),
    info: (fields, message) => logger.log({ message, ...fields }),
    warn: (fields, message) => logger.warn({ message, ...fields }),
    error: (fields, message) => logger.error({ message, ...fields }),
  }
}
