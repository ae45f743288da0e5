/** What can be typed: data, so that help, parsing and completion say the same. */
export interface Grammar {
  /** As the person started it, for usage lines. */
  readonly program: string
  /** Taken by every command. */
  readonly globals: readonly OptionGrammar[]
  /** Settings of the app: taken by every command, listed in the help of `worker` only. */
  readonly settings: readonly OptionGrammar[]
  readonly commands: readonly CommandGrammar[]
}

export interface CommandGrammar {
  readonly name: string
  readonly describe: string
  /** Options of its own; one with the name of a setting hides the setting. */
  readonly options: readonly OptionGrammar[]
  /** In order; required ones first. */
  readonly positionals: readonly ParameterGrammar[]
  /** Lists the settings in its help. */
  readonly showsSettings: boolean
  /** What may be typed after the program's name, for help. */
  readonly examples?: readonly string[]
}

export interface ParameterGrammar {
  /** Under which the value is handed over. */
  readonly key: string
  /** As it is typed and shown, without dashes. */
  readonly name: string
  readonly type: 'string' | 'number' | 'boolean' | 'list'
  readonly describe: string
  readonly required: boolean
  readonly default: string | number | boolean | undefined
  readonly choices: readonly string[] | undefined
  /** For help, where somebody else applies it. */
  readonly shownDefault: string | undefined
  /** Which names of the app the shell completes; `targets` are topics, and agents with `@`. */
  readonly completes?: 'topics' | 'agents' | 'tables' | 'targets' | undefined
}

export interface OptionGrammar extends ParameterGrammar {
  /** Without dashes; single letters and long names. */
  readonly aliases: readonly string[]
  /** Heading in help. */
  readonly group?: string
  /** What its value is called in help, where that is none of the types above: `duration`. */
  readonly valueName?: string
}

export type ParameterValue = string | number | boolean | readonly string[] | undefined

export type ParameterValues = Readonly<Record<string, ParameterValue>>

/** An option with what is seldom said left out. */
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

/** A positional argument with what is seldom said left out. */
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

/** The settings that `command` takes: those that its own options do not hide. */
export function settingsOf(grammar: Grammar, command: CommandGrammar): readonly OptionGrammar[] {
  const own = new Set(command.options.map(({ name }) => name))
  return grammar.settings.filter(({ name }) => !own.has(name))
}
