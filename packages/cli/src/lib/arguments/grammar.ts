/** Everything that can be typed, as data, so that help, parsing and completion agree. */
export interface Grammar {
  /** The program's name as the person typed it, for usage lines. */
  readonly program: string
  /** Options of every command. */
  readonly globals: readonly OptionGrammar[]
  /** Settings of the app: every command takes them, only the help of `worker` lists them. */
  readonly settings: readonly OptionGrammar[]
  readonly commands: readonly CommandGrammar[]
}

export interface CommandGrammar {
  readonly name: string
  readonly describe: string
  /** The command's own options; one with a setting's name hides the setting. */
  readonly options: readonly OptionGrammar[]
  /** In order; required ones first. */
  readonly positionals: readonly ParameterGrammar[]
  /** Lists the settings in its help. */
  readonly showsSettings: boolean
  /** What may be typed after the program's name, for help. */
  readonly examples?: readonly string[]
}

export interface ParameterGrammar {
  /** The name in the values that a command receives. */
  readonly key: string
  /** The name as it is typed and shown, without dashes. */
  readonly name: string
  readonly type: 'string' | 'number' | 'boolean' | 'list'
  readonly describe: string
  readonly required: boolean
  readonly default: string | number | boolean | undefined
  readonly choices: readonly string[] | undefined
  /** The default that help shows when another part applies it. */
  readonly shownDefault: string | undefined
  /** Which names of the app the shell completes; `targets` are topics, and agents with `@`. */
  readonly completes?: 'topics' | 'agents' | 'tables' | 'targets' | undefined
}

export interface OptionGrammar extends ParameterGrammar {
  /** Without dashes: single letters and long names. */
  readonly aliases: readonly string[]
  /** Heading in help. */
  readonly group?: string
  /** Name of its value in help, if not one of the types above: `duration`. */
  readonly valueName?: string
}

export type ParameterValue = string | number | boolean | readonly string[] | undefined

export type ParameterValues = Readonly<Record<string, ParameterValue>>

/** An option with defaults for the seldom used fields. */
export function option(
  name: string,
  rest: Partial<OptionGrammar> & Pick<OptionGrammar, 'type' | 'describe'>,
): OptionGrammar {
  return {
    key: name,
    name,
    required: false,
    default: undefined,
    choices: undefined,
    shownDefault: undefined,
    aliases: [],
    ...rest,
  }
}

/** A positional argument with defaults for the seldom used fields. */
export function positional(
  name: string,
  rest: Partial<ParameterGrammar> & Pick<ParameterGrammar, 'describe'>,
): ParameterGrammar {
  return {
    key: name,
    name,
    type: 'string',
    required: true,
    default: undefined,
    choices: undefined,
    shownDefault: undefined,
    ...rest,
  }
}

/** The settings that `command` takes: all except those hidden by its own options. */
export function settingsOf(grammar: Grammar, command: CommandGrammar): readonly OptionGrammar[] {
  const own = new Set(command.options.map(({ name }) => name))
  return grammar.settings.filter(({ name }) => !own.has(name))
}
