import { type Clock, didYouMean, isMillraceError, type Logger, MillraceError } from '@millrace/core'
import type { CommandLineApp, CommandLineClient, CommandOutput } from '@millrace/core/operations'
import type { CommandGrammar, ParameterValues } from '../arguments/grammar.ts'
import type { LogLevel } from '../output/create-logger.ts'
import type { ShownTerminal } from '../output/foreign-text.ts'
import { WrongUsage } from '../process/exit-code.ts'
import type { Signals } from '../process/signals.ts'
import type { SiblingLink } from '../processes/sibling-link.ts'

/** The parts that a command works with. The app is already configured. */
export interface CommandContext {
  readonly app: CommandLineApp
  /** Options and positionals by their keys. */
  readonly values: ParameterValues
  readonly cli: CommandOutput
  readonly log: Logger
  readonly signals: Signals
  /** If this process is one of several that the worker command has started. */
  readonly siblings: SiblingLink | undefined
  readonly clock: Clock
  readonly terminal: ShownTerminal
  /** Print colored text for a person instead of lines for a program. */
  readonly pretty: boolean
  readonly json: boolean
  readonly quiet: boolean
}

/** A command: its grammar and its function. */
export interface Command {
  readonly grammar: CommandGrammar
  /** Defaults, as text, for settings that the person does not type. */
  readonly defaults?: Readonly<Record<string, string>>
  /**
   * Writes logs to the output, because logs are the command's purpose. Other commands log warnings to the error
   * output.
   */
  readonly logsToOutput: boolean
  /** Default log level. Without it: `info` if logs go to the output, otherwise `warn`. */
  readonly level?: LogLevel
  /** Returns the exit code. */
  run(context: CommandContext): Promise<number>
}

type CommandParts = Omit<Command, 'grammar' | 'logsToOutput'> &
  Partial<Pick<Command, 'logsToOutput'> & CommandGrammar> &
  Pick<CommandGrammar, 'name' | 'describe'>

/** A command with defaults: no arguments, and logs on the error output. */
export function command({ defaults, level, logsToOutput = false, run, ...grammar }: CommandParts): Command {
  return {
    grammar: { options: [], positionals: [], showsSettings: false, ...grammar },
    ...(defaults === undefined ? {} : { defaults }),
    ...(level === undefined ? {} : { level }),
    logsToOutput,
    run,
  }
}

/**
 * Throws `COMMAND_USAGE` with the nearest match if the app has no such name. `mark` precedes the names of agents as
 * targets.
 */
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

/** Throws `GROUP_NOT_EMPTY` before a pointless question. The action itself checks again. */
export async function refuseMembers(app: CommandLineApp, client: CommandLineClient): Promise<void> {
  const members = await client.members()
  if (members.length === 0) return
  const who = members.map(({ id, host }) => `${id} (${host})`).join(', ')
  throw new MillraceError(
    'GROUP_NOT_EMPTY',
    `The app "${app.id}" runs: its group has ${members.length === 1 ? 'the member' : `${members.length} members`} ${who}. One that was killed leaves it after sessionTimeout.`,
  )
}

/** An unknown topic or partition is wrong usage, like any other unknown name. */
export async function orWrongName<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw isMillraceError(error, 'TOPIC_MISSING', 'PARTITION_MISSING') ? new WrongUsage(error) : error
  }
}

/** Runs `work` with a broker connection and always closes it. */
export async function withClient<T>(app: CommandLineApp, work: (client: CommandLineClient) => Promise<T>): Promise<T> {
  const client = await app.client()
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}
