import { MillraceError } from '@millrace/core'
import { command, type Command } from './command-context.ts'

/** `dev`: a worker that restarts when a source of the app changes. `runCli` runs it before it loads any app. */
export const devCommand: Command = command({
  name: 'dev',
  describe: 'Run a worker while you work on the app: it restarts when a source changes, and keeps tables and positions',
  showsSettings: true,
  logsToOutput: true,
  level: 'warn',
  run: () => Promise.reject(new MillraceError('COMMAND_USAGE', 'dev cannot be run by a program: use worker.')),
})
