import type { Logger } from '@millrace/core'

export interface LoggedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: object
  readonly message: string
}

/** A logger that keeps its lines. */
export interface CollectedLog extends Logger {
  readonly lines: readonly LoggedLine[]
}

/** Keeps the last 10,000 lines. */
export function collectLog(): CollectedLog {
  const lines: LoggedLine[] = []
  const keep =
    (level: LoggedLine['level']) =>
    (fields: object, message: string): void => {
      lines.push({ level, fields, message })
      if (lines.length > 10_000) lines.shift()
    }
  return { lines, debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
}
