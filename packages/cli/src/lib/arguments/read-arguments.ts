import { didYouMean } from '@millrace/core'
import {
  settingsOf,
  type CommandGrammar,
  type Grammar,
  type OptionGrammar,
  type ParameterGrammar,
  type ParameterValue,
  type ParameterValues,
} from './grammar.ts'
import type { OptionValue, SplitWords } from './split-words.ts'
import { usage } from './typed-values.ts'

/** What was typed, checked: every value is of the type that its declaration says. */
export interface ReadArguments {
  readonly command: CommandGrammar
  readonly globals: ParameterValues
  /** Those given only, by setting name, as text. */
  readonly settings: Readonly<Record<string, string>>
  /** Options and positionals of the command by their keys. */
  readonly values: ParameterValues
}

/** Checks what was typed. Throws `COMMAND_USAGE` for the first mistake, naming the nearest thing that exists. */
export function readArguments(grammar: Grammar, words: SplitWords): ReadArguments {
  const command = commandOf(grammar, words)
  const settings = settingsOf(grammar, command)
  refuseUnknown([...grammar.globals, ...command.options, ...settings], words.options, command)
  const [surplus] = words.rest.slice(command.positionals.length)
  if (surplus !== undefined) throw usage(`${command.name} does not take the argument "${surplus}".`)
  return {
    command,
    globals: readGlobals(grammar, words),
    settings: readSettings(settings, words),
    values: {
      ...readOptions(command.options, words),
      ...Object.fromEntries(
        command.positionals.map((argument, at) => [argument.key, readPositional(argument, words.rest[at], command)]),
      ),
    },
  }
}

/** Global options alone, for what has to be known before the commands are. */
export function readGlobals(grammar: Grammar, words: SplitWords): ParameterValues {
  return readOptions(grammar.globals, words)
}

function commandOf(grammar: Grammar, { command, rest }: SplitWords): CommandGrammar {
  if (command !== undefined) return command
  const [word] = rest
  if (word === undefined) throw usage('No command was given.')
  throw usage(
    `There is no command "${word}".${hint(
      word,
      grammar.commands.map(({ name }) => name),
      '',
    )}`,
  )
}

function refuseUnknown(options: readonly OptionGrammar[], given: SplitWords['options'], command: CommandGrammar): void {
  const known = options.flatMap(({ name, aliases }) => [name, ...aliases])
  const unknown = [...given.keys()].find((name) => !known.includes(name))
  if (unknown === undefined) return
  const switches = options.filter(({ type }) => type === 'boolean').map(({ name }) => `no-${name}`)
  const long = [...known.filter((name) => name.length > 1), ...(unknown.startsWith('no-') ? switches : [])]
  throw usage(`${command.name} has no option ${dashed(unknown)}.${hint(unknown, long, '--')}`)
}

function readOptions(options: readonly OptionGrammar[], words: SplitWords): ParameterValues {
  return Object.fromEntries(
    options.map((option) => [option.key, readOption(option, words.options.get(option.name) ?? [])]),
  )
}

function readOption(option: OptionGrammar, given: readonly OptionValue[]): ParameterValue {
  if (option.type === 'list') return given.map((value) => textOf(option, value))
  const shown = dashed(option.name)
  const value = singleValue(option, given)
  if (value !== undefined) return typeof value === 'boolean' ? value : readText(option, value, shown)
  if (option.required) throw usage(`${shown} must be given.`)
  return option.default
}

/** Of a switch that was given more than once, the last value. */
function singleValue(option: OptionGrammar, given: readonly OptionValue[]): OptionValue | undefined {
  const value = given.at(-1)
  if (option.type === 'boolean' || value === undefined) return value
  if (given.length > 1) throw usage(`${dashed(option.name)} was given more than once.`)
  return textOf(option, value)
}

function textOf({ name }: OptionGrammar, value: OptionValue): string {
  if (typeof value === 'string') return value
  throw usage(`${dashed(name)} needs a value.`)
}

function readPositional(
  argument: ParameterGrammar,
  given: string | undefined,
  command: CommandGrammar,
): ParameterValue {
  if (given !== undefined) return readText(argument, given, `<${argument.name}>`)
  if (argument.required) throw usage(`${command.name} needs <${argument.name}>.`)
  return argument.default
}

function readText(parameter: ParameterGrammar, text: string, shown: string): ParameterValue {
  if (parameter.type === 'number') {
    const number = text.trim() === '' ? Number.NaN : Number(text)
    if (Number.isNaN(number)) throw usage(`${shown} takes a number, not "${text}".`)
    return number
  }
  if (parameter.type === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true'
    throw usage(`${shown} takes true or false, not "${text}".`)
  }
  if (parameter.choices !== undefined && !parameter.choices.includes(text)) {
    throw usage(
      `${shown} takes one of ${parameter.choices.join(', ')}, not "${text}".${hint(text, parameter.choices, '')}`,
    )
  }
  return text
}

/** The app reads the text of settings; only switches are checked here. */
function readSettings(settings: readonly OptionGrammar[], words: SplitWords): Readonly<Record<string, string>> {
  const given: Record<string, string> = {}
  for (const setting of settings) {
    const value = singleValue(setting, words.options.get(setting.name) ?? [])
    if (typeof value === 'string' && setting.type === 'boolean') readText(setting, value, dashed(setting.name))
    if (value !== undefined) given[setting.key] = String(value)
  }
  return given
}

function hint(name: string, known: readonly string[], dashes: string): string {
  return didYouMean(name, known, (nearest) => `${dashes}${nearest}`)
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`
}
