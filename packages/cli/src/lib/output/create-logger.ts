import { closeSync, openSync, writeSync } from 'node:fs'
import { MillraceError, toError, type Logger } from '@millrace/core'
import pc from 'picocolors'
import { shownText } from './foreign-text.ts'
import { prettyLine } from './pretty-line.ts'
import type { OutputStream } from './terminal.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export interface LoggerOptions {
  readonly level: LogLevel
  /** Appends lines to this file as JSON, instead of writing them to `stream`. */
  readonly file: string | undefined
  readonly stream: OutputStream
  /** Aligned text instead of JSON lines. Not for files. */
  readonly pretty: boolean
  readonly color: boolean
  /** Number of this process in its lines, if it is one of several. */
  readonly process: number | undefined
  /** Called once when lines cannot be written to the file. */
  readonly onLost: (text: string) => void
}

export interface OpenLogger {
  readonly log: Logger
  /** Whether this very error was already logged. */
  knows(error: unknown): boolean
  close(): void
}

/**
 * A pino logger without a buffer, so that nothing is left to flush when the process exits. Millrace logs per batch and
 * per change, never per event, so the cost is not measurable.
 */
export async function createLogger(options: LoggerOptions): Promise<OpenLogger> {
  const { pino, stdSerializers, stdTimeFunctions } = await import('pino')
  const target = options.file === undefined ? streamTarget(options) : fileTarget(options.file, options.onLost)
  const log = pino(
    {
      level: options.level,
      base: { pid: process.pid, ...(options.process === undefined ? {} : { process: options.process }) },
      // Keeps causes separate: `stdSerializers.err` would merge all messages, with codes and advice, into one.
      serializers: { err: stdSerializers.errWithCause, error: stdSerializers.errWithCause },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: stdTimeFunctions.isoTime,
    },
    target,
  )
  const known = new WeakSet<object>()
  return {
    log: {
      debug: (fields, message) => log.debug(fields, message),
      info: (fields, message) => log.info(fields, message),
      warn: (fields, message) => log.warn(fields, message),
      error: (fields, message) => {
        if ('err' in fields && typeof fields.err === 'object' && fields.err !== null) known.add(fields.err)
        log.error(fields, message)
      },
    },
    knows: (error) => typeof error === 'object' && error !== null && known.has(error),
    close: () => target.close(),
  }
}

interface LogTarget {
  write(line: string): void
  close(): void
}

function streamTarget({ stream, pretty, color, level }: LoggerOptions): LogTarget {
  const nothing = (): void => undefined
  if (!pretty) return { write: (line) => void stream.write(line), close: nothing }
  const options = { color: pc.createColors(color), stacks: level === 'debug' }
  return { write: (line) => void stream.write(`${prettyLine(line, options)}\n`), close: nothing }
}

function fileTarget(path: string, onLost: (text: string) => void): LogTarget {
  let file: number
  try {
    file = openSync(path, 'a')
  } catch (error) {
    throw new MillraceError('COMMAND_USAGE', `--logfile ${path} cannot be written: ${toError(error).message}.`, {
      cause: error,
    })
  }
  let isTold = false
  const write = (line: string): void => {
    try {
      // People read the file on a terminal.
      writeSync(file, shownText(line))
    } catch (error) {
      // Logging must not fail because the disk is full.
      if (!isTold) onLost(`Log lines are lost: --logfile ${path} cannot be written: ${toError(error).message}.`)
      isTold = true
    }
  }
  return { write, close: () => closeSync(file) }
}
