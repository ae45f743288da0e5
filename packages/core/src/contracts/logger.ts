import type { Clock } from './clock.ts'

/** The part of pino's interface that Millrace uses: fields first, then a sentence. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/**
 * Writes warnings and errors to the error output, one JSON object a line, in the format of the command line's log: for
 * apps embedded in a program that passes no logger.
 */
export function plainLogger(clock: Pick<Clock, 'now'>): Logger {
  const write = (level: string, fields: object, message: string): void => {
    const line = { level, time: new Date(clock.now()).toISOString(), pid: process.pid, ...fields, msg: message }
    process.stderr.write(`${JSON.stringify(line, writable)}\n`)
  }
  return {
    debug: () => {},
    info: () => {},
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
  }
}

/** Errors have no enumerable fields, and bigints no JSON. An error with a cause becomes a list of the two. */
function writable(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.cause === undefined ? textOf(value) : [textOf(value), value.cause]
  return typeof value === 'bigint' ? String(value) : value
}

function textOf(error: Error): string {
  return error.stack ?? error.message
}
