import type { Clock, CommandLineApp, CommandLineClient, CommandOutput, Logger } from '@millrace/core'
import type { CommandGrammar, ParameterValues } from '../arguments/grammar.ts'
import type { LogLevel } from '../output/create-logger.ts'
import type { Terminal } from '../output/terminal.ts'
import type { Signals } from '../process/signals.ts'

/** What a command works with. The app is configured. */
export interface CommandContext {
  readonly app: CommandLineApp
  /** Options and positionals by their keys. */
  readonly values: ParameterValues
  readonly cli: CommandOutput
  readonly log: Logger
  readonly signals: Signals
  readonly clock: Clock
  readonly terminal: Terminal
  /** Colored text for a person rather than lines for a program. */
  readonly pretty: boolean
  readonly json: boolean
  readonly quiet: boolean
}

/** A command: how it is typed, and what it does. */
export interface Command {
  readonly grammar: CommandGrammar
  /** Settings, as text, that the command takes where the person types none. */
  readonly defaults?: Readonly<Record<string, string>>
  /** Logs go to the output, because they are what the command is about; else to the error output, warnings only. */
  readonly logsToOutput: boolean
  /** Least level of log lines where the person says nothing; else `info` for what logs to the output, `warn` for the rest. */
  readonly level?: LogLevel
  /** Returns the exit code. */
  run(context: CommandContext): Promise<number>
}

/** Runs `work` with a broker connection that is closed whatever happens. */
export async function withClient<T>(app: CommandLineApp, work: (client: CommandLineClient) => Promise<T>): Promise<T> {
  const client = await app.client()
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}
