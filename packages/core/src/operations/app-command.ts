import { MillraceError } from '../lib/errors/millrace-error.ts'
import { checkOptions, type OptionNames } from '../lib/names/check-options.ts'
import type { DefinedNames } from '../lib/names/defined-names.ts'
import { validateName } from '../lib/names/names.ts'

/** One option or positional argument of a command. */
export interface CommandParameter {
  readonly type: 'string' | 'number' | 'boolean'
  /** Shown in help. Without it the value may be `undefined`. */
  readonly default?: string | number | boolean | undefined
  readonly describe?: string | undefined
  /** Whether it must be given: the value is then never `undefined`. */
  readonly required?: boolean | undefined
  /** One letter. Options only. */
  readonly alias?: string | undefined
  /** The only accepted values. */
  readonly choices?: readonly string[] | undefined
}

export type CommandParameters = Readonly<Record<string, CommandParameter>>

/** The options of `app.command`, besides name and handler. */
export interface CommandSpec<O extends CommandParameters, P extends CommandParameters> {
  readonly describe?: string | undefined
  /** By their names in camel case: `maxLatency` is `--max-latency`. */
  readonly options?: O | undefined
  /** In order. */
  readonly positionals?: P | undefined
  /** Keep running after the handler returns, until a signal. Default false. */
  readonly daemon?: boolean | undefined
}

type ArgumentOf<P extends CommandParameter> = P extends { readonly choices: readonly (infer C)[] }
  ? C
  : P['type'] extends 'number'
    ? number
    : P['type'] extends 'boolean'
      ? boolean
      : string

type GivenParameter<P extends CommandParameter> = P extends
  | { readonly default: string | number | boolean }
  | { readonly required: true }
  ? ArgumentOf<P>
  : ArgumentOf<P> | undefined

/** The arguments of a handler: every option and positional by its name, typed by its declaration. */
export type CommandArguments<O extends CommandParameters, P extends CommandParameters> = {
  readonly [N in keyof O | keyof P]: N extends keyof O
    ? GivenParameter<O[N]>
    : N extends keyof P
      ? GivenParameter<P[N]>
      : never
}

/** A command of an app without its types. `name` is the handler's name on the command line. */
export interface CommandDefinition {
  readonly name: string
  readonly describe: string
  readonly options: CommandParameters
  readonly positionals: CommandParameters
  readonly daemon: boolean
  /** A method, so that a handler with typed arguments fits: the command line parses them by the same declaration. */
  run(values: object, cli: CommandOutput): void | Promise<void>
}

/** How a command writes to the person or, with `--json`, to the program that runs it. */
export interface CommandOutput {
  /** Writes a line of text. With `--json` it goes to the error output, so that programs can read the output. */
  say(text: string): void
  /** Writes rows with one set of columns: as aligned text, or with `--json` as an array of objects. */
  table(rows: readonly Readonly<Record<string, unknown>>[]): void
  json(value: unknown): void
  /** Leaves the text unchanged if colors are off. */
  readonly color: CommandColors
  /** A bar on a terminal, nothing elsewhere. */
  progress(total: number): CommandProgress
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
}

export type CommandColors = Readonly<
  Record<'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'cyan', (text: string) => string>
>

export interface CommandProgress {
  tick(steps?: number): void
  done(): void
}

const SPEC_OPTIONS: OptionNames<CommandSpec<CommandParameters, CommandParameters>> = {
  describe: true,
  options: true,
  positionals: true,
  daemon: true,
}

const PARAMETER_OPTIONS: OptionNames<CommandParameter> = {
  type: true,
  default: true,
  describe: true,
  required: true,
  alias: true,
  choices: true,
}

/** A command in the form for the command line: without declared types, and with defaults filled in. */
export function commandDefinition<const O extends CommandParameters, const P extends CommandParameters>(
  name: string,
  spec: CommandSpec<O, P>,
  handler: (values: CommandArguments<O, P>, cli: CommandOutput) => void | Promise<void>,
): CommandDefinition {
  const where = `command "${validateName('command', name)}"`
  if (typeof handler !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `The ${where} needs a function as its last argument.`)
  checkOptions(where, spec, SPEC_OPTIONS)
  for (const [parameter, declared] of Object.entries({ ...spec.options, ...spec.positionals }))
    checkOptions(`${parameter} of ${where}`, declared, PARAMETER_OPTIONS)
  return {
    name,
    describe: spec.describe ?? '',
    options: spec.options ?? {},
    positionals: spec.positionals ?? {},
    daemon: spec.daemon ?? false,
    run: (values: CommandArguments<O, P>, cli: CommandOutput) => handler(values, cli),
  }
}

/** The commands that an app declares. */
export interface CommandDeclarations {
  /**
   * Adds a command to the app's command line.
   *
   * @throws `NAME_TAKEN`, `NAME_INVALID`
   * @example
   * app.command('produce', { options: { maxMessages: { type: 'number' } } }, async ({ maxMessages }, cli) => cli.say('SENDING'))
   */
  command<const O extends CommandParameters = {}, const P extends CommandParameters = {}>(
    name: string,
    spec: CommandSpec<O, P>,
    handler: (values: CommandArguments<O, P>, cli: CommandOutput) => void | Promise<void>,
  ): void
}

/** Where the definitions are kept. */
interface CommandDefinitions extends DefinedNames {
  readonly commands: Map<string, CommandDefinition>
}

export function declareCommands(definitions: CommandDefinitions): CommandDeclarations {
  const { commands } = definitions
  return {
    command: (name, spec, handler) =>
      void definitions.add('command', { into: commands, name }, () => commandDefinition(name, spec, handler)),
  }
}
