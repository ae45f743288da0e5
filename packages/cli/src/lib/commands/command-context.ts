import { type Clock, didYouMean, isMillraceError, type Logger, MillraceError } from '@millrace/core'
import type { CommandLineApp, CommandLineClient, CommandOutput } from '@millrace/core/operations'
import type { CommandGrammar, ParameterValues } from '../arguments/grammar.ts'
import type { LogLevel } from '../output/create-logger.ts'
import type { ShownTerminal } from '../output/foreign-text.ts'
import { WrongUsage } from '../process/exit-code.ts'
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
  readonly terminal: ShownTerminal
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

type CommandParts = Omit<Command, 'grammar' | 'logsToOutput'> &
  Partial<Pick<Command, 'logsToOutput'> & CommandGrammar> &
  Pick<CommandGrammar, 'name' | 'describe'>

/** A command with what is seldom said left out: it takes nothing of its own, and what it logs goes to the error output. */
export function command({ defaults, level, logsToOutput = false, run, ...grammar }: CommandParts): Command {
  return {
    grammar: { options: [], positionals: [], showsSettings: false, ...grammar },
    ...(defaults === undefined ? {} : { defaults }),
    ...(level === undefined ? {} : { level }),
    logsToOutput,
    run,
  }
}

/** Throws `COMMAND_USAGE`, with the nearest name, when the app has nothing of this name. `mark` goes before an agent's where one is sent to. */
export function requireName(app: CommandLineApp, kind: 'agent' | 'job' | 'table', name: string, mark = ''): void {
  const things = kind === 'job' ? app.jobs() : kind === 'agent' ? app.describe().agents : app.describe().tables
  const names = things.map((thing) => thing.name)
  if (names.includes(name)) return
  const nearest = didYouMean(name, names, mark === '' ? undefined : (shown) => `${mark}${shown}`)
  const others = names.length === 0 ? ' It has none.' : ` It has ${names.join(', ')}.`
  throw new MillraceError(
    'COMMAND_USAGE',
    `The app "${app.id}" has no ${kind} "${name}".${nearest === '' ? others : nearest}`,
  )
}

/** Throws `GROUP_NOT_EMPTY`. For before a question whose answer would be in vain: what is then done looks again. */
export async function refuseMembers(app: CommandLineApp, client: CommandLineClient): Promise<void> {
  const members = await client.members()
  if (members.length === 0) return
  const who = members.map(({ id, host }) => `${id} (${host})`).join(', ')
  throw new MillraceError(
    'GROUP_NOT_EMPTY',
    `The app "${app.id}" runs: its group has ${members.length === 1 ? 'the member' : `${members.length} members`} ${who}. One that was killed leaves it after sessionTimeout.`,
  )
}

/** A topic or partition that was typed and is not there is wrong usage, as any other name is. */
export async function orWrongName<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw isMillraceError(error, 'TOPIC_MISSING', 'PARTITION_MISSING') ? new WrongUsage(error) : error
  }
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
