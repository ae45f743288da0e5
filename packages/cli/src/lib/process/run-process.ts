import type { EventEmitter } from 'node:events'
import { runCli, type CliOptions } from '../run-cli.ts'
import { outputTrouble } from './output-trouble.ts'

/** Runs a command as what this process is for, and ends the process with its exit code once the output is written. */
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
