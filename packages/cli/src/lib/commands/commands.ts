import { MillraceError } from '@millrace/core'
import type { CommandLineApp } from '@millrace/core/operations'
import { globalOptions } from '../arguments/common-options.ts'
import { appCommand } from './app-command.ts'
import type { Command } from './command-context.ts'
import { completionCommand } from './completion-command.ts'
import { backupCommand, embeddedCommand, restoreCommand } from './data-commands.ts'
import { devCommand } from './dev-command.ts'
import { dlqCommand } from './dlq-command.ts'
import { cleanVersionsCommand, doctorCommand } from './doctor-command.ts'
import { jobsCommand } from './jobs-command.ts'
import { listingCommands, modelsCommand } from './listing-commands.ts'
import { pauseCommands } from './pause-commands.ts'
import { lagCommand, tailCommand } from './reading-commands.ts'
import { resetCommand } from './reset-command.ts'
import { retriesCommand } from './retries-command.ts'
import { schemasCommand } from './schemas-command.ts'
import { sendCommand } from './send-command.ts'
import { skipCommand } from './skip-command.ts'
import { tableCommand } from './table-command.ts'
import { topicsCommand } from './topics-command.ts'
import { topologyCommand } from './topology-command.ts'
import { watermarksCommand } from './watermarks-command.ts'
import { workerCommand } from './worker-command.ts'

/** In the order of the help. */
export const builtInCommands: readonly Command[] = [
  workerCommand,
  devCommand,
  sendCommand,
  tailCommand,
  ...listingCommands,
  topologyCommand,
  topicsCommand,
  tableCommand,
  modelsCommand,
  jobsCommand,
  ...pauseCommands,
  lagCommand,
  watermarksCommand,
  dlqCommand,
  retriesCommand,
  schemasCommand,
  resetCommand,
  skipCommand,
  embeddedCommand,
  backupCommand,
  restoreCommand,
  cleanVersionsCommand,
  completionCommand,
  doctorCommand,
]

/**
 * The built-in commands and the app's commands. Throws `NAME_TAKEN` or `DEFINITION_INVALID` if a name would hide
 * another.
 */
export function commandsOf(app: CommandLineApp): readonly Command[] {
  const own = app.describe().commands.map((definition) => appCommand(definition))
  const taken = new Set(builtInCommands.map(({ grammar }) => grammar.name))
  const reserved = new Set(globalOptions({ takesApp: true }).flatMap(({ name, aliases }) => [name, ...aliases]))
  for (const { grammar } of own) {
    if (taken.has(grammar.name)) throw new MillraceError('NAME_TAKEN', `There is already a command "${grammar.name}".`)
    taken.add(grammar.name)
    const clash = grammar.options.flatMap(({ name, aliases }) => [name, ...aliases]).find((name) => reserved.has(name))
    if (clash !== undefined) {
      throw new MillraceError(
        'DEFINITION_INVALID',
        `The command "${grammar.name}" has an option "${clash}", which every command has already.`,
      )
    }
  }
  return [...builtInCommands, ...own]
}
