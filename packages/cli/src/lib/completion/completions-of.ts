import { settingsOf, type CommandGrammar, type Grammar, type ParameterGrammar } from '../arguments/grammar.ts'
import { type SplitWords, splitWords } from '../arguments/split-words.ts'

/** Names that the app has, for arguments that take them. */
export interface CompletedNames {
  readonly topics: readonly string[]
  readonly agents: readonly string[]
  readonly tables: readonly string[]
}

export const NO_NAMES: CompletedNames = Object.freeze({ topics: [], agents: [], tables: [] })

/**
 * What the last word may become, in the order of the grammar. Empty where files or free text belong, so that the shell
 * goes on by itself.
 *
 * @param words what was typed after the program's name; the last one is under way and may be empty
 */
export function completionsOf(grammar: Grammar, names: CompletedNames, words: readonly string[]): readonly string[] {
  const last = words.at(-1) ?? ''
  const before = splitWords(grammar, words.slice(0, -1))
  const isOption = last.startsWith('-') && before.awaiting === undefined
  const all = isOption ? optionWords(grammar, before.command) : wordsAfter(before, grammar, names)
  return all.filter((word) => word.startsWith(last))
}

function optionWords(grammar: Grammar, command: CommandGrammar | undefined): readonly string[] {
  const own = command ? [...command.options, ...(command.showsSettings ? settingsOf(grammar, command) : [])] : []
  return [...own, ...grammar.globals].map((option) =>
    option.type === 'boolean' && isOn(option) ? `--no-${option.name}` : `--${option.name}`,
  )
}

function isOn({ default: standard, shownDefault }: ParameterGrammar): boolean {
  return standard === true || shownDefault === 'true'
}

function wordsAfter(
  { command, rest, awaiting }: SplitWords,
  grammar: Grammar,
  names: CompletedNames,
): readonly string[] {
  if (awaiting !== undefined) return valuesOf(awaiting, names)
  if (command === undefined) return rest.length === 0 ? grammar.commands.map(({ name }) => name) : []
  const argument = command.positionals[rest.length]
  return argument === undefined ? [] : valuesOf(argument, names)
}

function valuesOf({ choices, completes }: ParameterGrammar, names: CompletedNames): readonly string[] {
  if (choices !== undefined) return choices
  if (completes === undefined) return []
  return completes === 'targets' ? [...names.topics, ...names.agents.map((agent) => `@${agent}`)] : names[completes]
}
