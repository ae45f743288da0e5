import { MillraceError } from '@millrace/core'
import type { Argv, Options, PositionalOptions } from 'yargs'
import type { Parser } from 'yargs/helpers'
import { SETTING_HEADINGS } from './setting-options.ts'
import { settingsOf, type CommandGrammar, type Grammar, type OptionGrammar, type ParameterGrammar } from './grammar.ts'

/** In the help without a command. */
const EXAMPLES: readonly (readonly [text: string, what: string])[] = [
  ['dev', 'run the app, and again when a source changes'],
  ["send posts 'hello world'", 'send a record'],
  ['tail posts --from beginning', 'see what is in a topic'],
]

/** How words are parsed: text stays as it is. */
const CONFIGURATION = {
  'camel-case-expansion': false,
  'dot-notation': false,
  'greedy-arrays': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'strip-aliased': true,
}

export type RawValue = string | boolean | readonly string[]

/** What was typed, parsed but not yet checked. */
export interface RawArguments {
  readonly command: string | undefined
  /** By long names and aliases as typed: text, true or false, or an array when given several times. */
  readonly options: Readonly<Record<string, RawValue>>
  /** What is neither the command nor an option. */
  readonly rest: readonly string[]
}

/**
 * The only file that knows yargs: it parses the words and lays out the help. The former is its parser's alone, which
 * loads and runs in a few milliseconds: all of yargs lays out the help each time it runs a command. Judging the words (unknown names,
 * types, what is missing) is ours, because messages should name the nearest name and every mistake exits with 2.
 */
export async function parseWords(grammar: Grammar, words: readonly string[]): Promise<RawArguments> {
  refuseOddSwitches(grammar, words)
  const { Parser } = await import('yargs/helpers')
  const command = commandAmong(grammar, words)
  // Of a word that is no command, too: its name is judged before its options are.
  const known = [...grammar.globals, ...grammar.settings, ...(command?.options ?? [])]
  const { argv, error } = Parser.detailed([...words], { ...parserOptions(known), configuration: CONFIGURATION })
  if (error !== null) throw new MillraceError('COMMAND_USAGE', `${error.message}.`)
  const { _: positionals, ...options } = argv
  const rest = positionals.map(String)
  const negated = negatedNames(grammar, words)
  const given = Object.fromEntries(
    Object.entries(options).flatMap(([name, value]) => {
      if (value === undefined) return []
      return [[value === false && negated.has(name) ? `no-${name}` : name, rawValue(value)] as const]
    }),
  )
  return { command: command?.name, options: given, rest: command === undefined ? rest : rest.slice(1) }
}

/**
 * The parser wants to know all options beforehand, and the command decides which there are: it is the first word that is
 * neither an option nor the value of one. Options that stand before it are those of every command.
 */
function commandAmong({ globals, settings, commands }: Grammar, words: readonly string[]): CommandGrammar | undefined {
  const types = new Map(
    [...globals, ...settings].flatMap(({ name, aliases, type }) =>
      [name, ...aliases].map((one) => [one, type] as const),
    ),
  )
  let open: OptionGrammar['type'] | undefined
  let optionsEnded = false
  for (const word of words) {
    if (!optionsEnded && isOption(word)) {
      optionsEnded = word === '--'
      // Of several letters that share a dash, the last one takes the value.
      open = types.get(word.startsWith('--') ? word.slice(2) : word.slice(-1))
      continue
    }
    const isValue = open === 'boolean' ? word === 'true' || word === 'false' : open !== undefined
    open = undefined
    if (!isValue || optionsEnded) return commands.find(({ name }) => name === word)
  }
  return undefined
}

/** A dash alone and negative numbers are arguments. */
function isOption(word: string): boolean {
  return /^-[^\d.]/.test(word)
}

/** Numbers are read as text: yargs would make NaN of a word. */
function parserOptions(options: readonly OptionGrammar[]): Parser.Options {
  const switches = options.filter(({ type }) => type === 'boolean').map(({ name }) => name)
  const others = options.filter(({ type }) => type !== 'boolean').map(({ name }) => name)
  return {
    alias: Object.fromEntries(options.map(({ name, aliases }) => [name, [...aliases]])),
    boolean: switches,
    string: others,
    narg: Object.fromEntries(others.map((name) => [name, 1])),
  }
}

/** The switches of every command: a misused switch is reported before an unknown command is. */
function switchesOf({ globals, settings, commands }: Grammar): readonly OptionGrammar[] {
  const options = [...globals, ...settings, ...commands.flatMap((command) => command.options)]
  return options.filter(({ type }) => type === 'boolean')
}

/** `--json=maybe`: yargs would take it for false without a word. */
function refuseOddSwitches(grammar: Grammar, words: readonly string[]): void {
  const switches = new Set(switchesOf(grammar).map(({ name }) => name))
  const end = words.indexOf('--')
  for (const word of end < 0 ? words : words.slice(0, end)) {
    const [, name = '', value] = /^--([^=]+)=(.*)$/s.exec(word) ?? []
    if (switches.has(name) && value !== 'true' && value !== 'false')
      throw new MillraceError('COMMAND_USAGE', `--${name} takes true or false, not "${value}".`)
  }
}

/** `--no-such` is the option such, turned off, only where such is a switch; else it is reported as it was typed. */
function negatedNames(grammar: Grammar, words: readonly string[]): ReadonlySet<string> {
  const switches = new Set(switchesOf(grammar).flatMap(({ name, aliases }) => [name, ...aliases]))
  const negated = words.flatMap((word) => /^--no-(.+)$/s.exec(word)?.[1] ?? [])
  return new Set(negated.filter((name) => !switches.has(name)))
}

function rawValue(value: unknown): RawValue {
  if (Array.isArray(value)) return value.map(String)
  return typeof value === 'boolean' ? value : String(value)
}

/** Help for the command among `words`, or for all of them. */
export async function helpText(grammar: Grammar, words: readonly string[], width: number): Promise<string> {
  // With the word in sight yargs would print by itself.
  const parser = await engine(
    grammar,
    words.filter((word) => word !== '--help' && word !== '-h'),
  )
  parser
    .usage(`${grammar.program} <command> [options]`)
    .wrap(Math.min(width, 110))
    .help('help')
    .alias('help', 'h')
    .describe('help', describeOf(grammar, 'help'))
    .updateStrings({ 'Positionals:': 'Arguments:' })
  addOptions(
    parser,
    grammar.globals.filter(({ name }) => name !== 'help'),
    (option) => ({ ...showOption(option), group: 'For every command:' }),
  )
  parser.group(['help'], 'For every command:')
  for (const command of grammar.commands) {
    parser.command(usageOf(command), command.describe, (inner) => {
      inner.usage(`${grammar.program} ${usageOf(command)} [options]\n\n${command.describe}`)
      for (const text of command.examples ?? []) inner.example(`${grammar.program} ${text}`, '')
      for (const argument of command.positionals) inner.positional(argument.name, showPositional(argument))
      addOptions(inner, command.options, (option) => ({ ...showOption(option), group: `Options of ${command.name}:` }))
      if (command.showsSettings) {
        for (const heading of SETTING_HEADINGS) {
          const under = settingsOf(grammar, command).filter((option) => option.group === heading)
          addOptions(inner, under, (option) => ({ ...showOption(option), group: `${heading}:` }))
        }
      }
      if (!command.showsSettings)
        inner.epilogue(`The settings of the app are options too: see ${grammar.program} worker --help.`)
      return inner
    })
  }
  for (const [example, what] of EXAMPLES) parser.example(`${grammar.program} ${example}`, what)
  parser.epilogue(`${grammar.program} <command> --help explains a command.`)
  return parser.getHelp()
}

async function engine(grammar: Grammar, words: readonly string[]): Promise<Argv> {
  const { default: yargs } = await import('yargs')
  return yargs([...words])
    .scriptName(grammar.program)
    .locale('en')
    .version(false)
    .exitProcess(false)
    .strict(false)
    .fail((message, error: Error | undefined) => {
      throw error === undefined || error.name === 'YError'
        ? new MillraceError('COMMAND_USAGE', `${message ?? error?.message}.`)
        : error
    })
    .parserConfiguration(CONFIGURATION)
}

function addOptions(
  parser: Argv,
  options: readonly OptionGrammar[],
  describe: (option: OptionGrammar) => Options,
): Argv {
  for (const option of options) parser.option(option.name, describe(option))
  return parser
}

function showOption(option: OptionGrammar): Options {
  const { valueName } = option
  return {
    ...showParameter(option),
    alias: [...option.aliases],
    // yargs knows few types: others are named behind the description.
    ...(valueName === undefined
      ? { type: option.type === 'list' ? 'array' : option.type }
      : { describe: `${option.describe} [${valueName}]` }),
    ...(option.required ? { demandOption: true } : {}),
  }
}

function showPositional(argument: ParameterGrammar): PositionalOptions {
  return { ...showParameter(argument), type: argument.type === 'list' ? 'string' : argument.type }
}

function showParameter(
  parameter: ParameterGrammar,
): Pick<Options, 'describe' | 'default' | 'defaultDescription' | 'choices'> {
  return {
    describe: parameter.describe,
    ...(parameter.default === undefined || parameter.default === false ? {} : { default: parameter.default }),
    ...(parameter.shownDefault === undefined
      ? {}
      : { default: parameter.shownDefault, defaultDescription: parameter.shownDefault }),
    ...(parameter.choices === undefined ? {} : { choices: parameter.choices }),
  }
}

function describeOf(grammar: Grammar, name: string): string {
  return grammar.globals.find((option) => option.name === name)?.describe ?? ''
}

function usageOf(command: CommandGrammar): string {
  const words = command.positionals.map(({ name, required }) => (required ? `<${name}>` : `[${name}]`))
  return [command.name, ...words].join(' ')
}
