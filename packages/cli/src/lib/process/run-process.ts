import type { EventEmitter } from 'node:events'
import { realpathSync } from 'node:fs'
import { extname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { commandLine, type HasCommandLine } from '@millrace/core/operations'
import { type CliOptions, runCli } from '../run-cli.ts'

/** Runs a command as the purpose of this process, then exits with its code once the output is written. */
export async function runProcess(words: readonly string[], options: CliOptions = {}): Promise<never> {
  const events: EventEmitter = process
  const onTrouble = outputTrouble({
    emit: (event) => events.emit(event),
    listenerCount: (event) => events.listenerCount(event),
    exit: (code) => process.exit(code),
    stderr: process.stderr,
  })
  for (const stream of [process.stdout, process.stderr]) stream.on('error', onTrouble)
  const exitCode = await runCli(words, options)
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))),
  )
  return process.exit(exitCode)
}

/** The parts of the process needed to end it or to report lost output. */
export interface OutputProcess {
  /** Notifies a part that must finish first; false if there is none. */
  emit(event: 'outputGone'): boolean
  listenerCount(event: 'outputGone'): number
  exit(code: number): void
  readonly stderr: { write(text: string): unknown }
}

/**
 * Handles a failed write to output or error output, once for both. In `millrace topics | head -1` the reader leaves
 * early, which is not a failure: a worker finishes its events in flight. Any other failure, such as a full disk, is an
 * error: a worker continues without its log lines, and a command fails.
 */
export function outputTrouble(process: OutputProcess): (error: NodeJS.ErrnoException) => void {
  let isKnown = false
  return (error) => {
    if (isKnown) return
    isKnown = true
    if (error.code === 'EPIPE') {
      if (!process.emit('outputGone')) process.exit(0)
      return
    }
    process.stderr.write(`The output cannot be written: ${error.message}.\n`)
    if (process.listenerCount('outputGone') === 0) process.exit(1)
  }
}

/**
 * Makes the app's own file the command: `node ./src/app.ts worker`. Does nothing when the file is imported rather than
 * run. Otherwise it never returns: the process ends with the command's exit code.
 *
 * @example
 * await mainCli(app, import.meta)
 */
export async function mainCli(app: HasCommandLine, meta: { readonly url: string }): Promise<void> {
  const appFile = fileURLToPath(meta.url)
  if (!isEntry(appFile, process.argv[1])) return
  const program = `node ${relative(process.cwd(), appFile)}`
  await runProcess(process.argv.slice(2), { app: app[commandLine], appFile, program })
}

/** Whether `file` is the program that Node runs: `entry` may lack its extension, and either may be a symbolic link. */
export function isEntry(file: string, entry: string | undefined): boolean {
  if (entry === undefined) return false
  const real = realPath(file)
  return [entry, entry + extname(file)].some((candidate) => realPath(candidate) === real)
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    // A path that does not exist is compared as it is.
    return path
  }
}
