import {
  settingsOf,
  type CommandGrammar,
  type Grammar,
  type OptionGrammar,
  type ParameterGrammar,
} from '../arguments/grammar.ts'

/** Names that the app has, for arguments that take them. */
export interface CompletedNames {
  readonly topics: readonly string[]
  readonly agents: readonly string[]
  readonly tables: readonly string[]
}

export const NO_NAMES: CompletedNames = Object.freeze({ topics: [], agents: [], tables: [] })

/**
 * Completions of the last word, in the order of the grammar. Empty for files and free text, so that the shell's own
 * completion applies.
 *
 * @param words the words after the program's name; the last one may be incomplete or empty
 */
export function completionsOf(grammar: Grammar, names: CompletedNames, words: readonly string[]): readonly string[] {
  const last = words.at(-1) ?? ''
  const { command, position, awaiting } = placeAfter(grammar, words.slice(0, -1))
  const isOption = last.startsWith('-') && awaiting === undefined
  const all = isOption ? optionWords(grammar, command) : wordsAt(grammar, names, { command, position, awaiting })
  return all.filter((word) => word.startsWith(last))
}

interface WordPosition {
  /** `null` for a word that is no command: nothing is known of what follows. */
  readonly command: CommandGrammar | undefined | null
  /** Positional arguments before. */
  readonly position: number
  /** The option whose value comes now. */
  readonly awaiting: OptionGrammar | undefined
}

function placeAfter(grammar: Grammar, words: readonly string[]): WordPosition {
  let command: CommandGrammar | undefined | null
  let position = 0
  let awaiting: OptionGrammar | undefined
  for (const word of words) {
    if (awaiting !== undefined) awaiting = undefined
    else if (word.startsWith('-')) awaiting = valueOptionOf(word, grammar, command)
    else if (command === undefined) command = grammar.commands.find(({ name }) => name === word) ?? null
    else position++
  }
  return { command, position, awaiting }
}

/** The option that `word` is, when its value is the next word. */
function valueOptionOf(word: string, grammar: Grammar, command: WordPosition['command']): OptionGrammar | undefined {
  const typed = word.replace(/^-+/, '')
  const known = [...grammar.globals, ...(command?.options ?? []), ...grammar.settings]
  const found = known.find(({ name, aliases }) => name === typed || aliases.includes(typed))
  return found?.type === 'boolean' ? undefined : found
}

function optionWords(grammar: Grammar, command: WordPosition['command']): readonly string[] {
  const own = command ? [...command.options, ...(command.showsSettings ? settingsOf(grammar, command) : [])] : []
  return [...own, ...grammar.globals].map((option) =>
    option.type === 'boolean' && isOn(option) ? `--no-${option.name}` : `--${option.name}`,
  )
}

function isOn({ default: standard, shownDefault }: ParameterGrammar): boolean {
  return standard === true || shownDefault === 'true'
}

function wordsAt(
  grammar: Grammar,
  names: CompletedNames,
  { command, position, awaiting }: WordPosition,
): readonly string[] {
  if (awaiting !== undefined) return valuesOf(awaiting, names)
  if (command === undefined) return grammar.commands.map(({ name }) => name)
  const argument = command?.positionals[position]
  return argument === undefined ? [] : valuesOf(argument, names)
}

function valuesOf({ choices, completes }: ParameterGrammar, names: CompletedNames): readonly string[] {
  if (choices !== undefined) return choices
  if (completes === undefined) return []
  return completes === 'targets' ? [...names.topics, ...names.agents.map((agent) => `@${agent}`)] : names[completes]
}
