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
import type { RawArguments, RawValue } from './yargs-engine.ts'
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
export function readArguments(grammar: Grammar, raw: RawArguments): ReadArguments {
  const command = commandOf(grammar, raw)
  const settings = settingsOf(grammar, command)
  refuseUnknown([...grammar.globals, ...command.options, ...settings], raw.options, command)
  const [surplus] = raw.rest.slice(command.positionals.length)
  if (surplus !== undefined) throw usage(`${command.name} does not take the argument "${surplus}".`)
  return {
    command,
    globals: readGlobals(grammar, raw),
    settings: readSettings(settings, raw),
    values: {
      ...readOptions(command.options, raw),
      ...Object.fromEntries(
        command.positionals.map((argument, at) => [argument.key, readPositional(argument, raw.rest[at], command)]),
      ),
    },
  }
}

/** Global options alone, for what has to be known before the commands are. */
export function readGlobals(grammar: Grammar, raw: RawArguments): ParameterValues {
  return readOptions(grammar.globals, raw)
}

function commandOf(grammar: Grammar, raw: RawArguments): CommandGrammar {
  const found = grammar.commands.find(({ name }) => name === raw.command)
  if (found) return found
  const [word] = raw.rest
  if (word === undefined) throw usage('No command was given.')
  throw usage(
    `There is no command "${word}".${hint(
      word,
      grammar.commands.map(({ name }) => name),
      '',
    )}`,
  )
}

function refuseUnknown(
  options: readonly OptionGrammar[],
  given: RawArguments['options'],
  command: CommandGrammar,
): void {
  const known = options.flatMap(({ name, aliases }) => [name, ...aliases])
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown === undefined) return
  const switches = options.filter(({ type }) => type === 'boolean').map(({ name }) => `no-${name}`)
  const long = [...known.filter((name) => name.length > 1), ...(unknown.startsWith('no-') ? switches : [])]
  throw usage(`${command.name} has no option ${dashed(unknown)}.${hint(unknown, long, '--')}`)
}

function readOptions(options: readonly OptionGrammar[], raw: RawArguments): ParameterValues {
  return Object.fromEntries(options.map((option) => [option.key, readOption(option, raw.options[option.name])]))
}

function readOption(option: OptionGrammar, given: RawValue | undefined): ParameterValue {
  const shown = dashed(option.name)
  if (given === undefined) {
    if (option.required) throw usage(`${shown} must be given.`)
    return option.type === 'list' ? [] : option.default
  }
  if (option.type === 'list') return typeof given === 'object' ? given : [String(given)]
  if (typeof given === 'object') throw usage(`${shown} was given more than once.`)
  return typeof given === 'boolean' ? given : readText(option, given, shown)
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

function readSettings(settings: readonly OptionGrammar[], raw: RawArguments): Readonly<Record<string, string>> {
  const given: Record<string, string> = {}
  for (const setting of settings) {
    const value = raw.options[setting.name]
    if (typeof value === 'object') throw usage(`${dashed(setting.name)} was given more than once.`)
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
