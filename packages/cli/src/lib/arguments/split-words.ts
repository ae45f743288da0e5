import { settingsOf, type CommandGrammar, type Grammar, type OptionGrammar } from './grammar.ts'

/** The words that were typed, split but not yet checked. */
export interface SplitWords {
  readonly command: CommandGrammar | undefined
  /** By long names, or as typed where the command has no such option. */
  readonly options: ReadonlyMap<string, readonly OptionValue[]>
  /** Positional arguments. An unknown command is the first of them. */
  readonly rest: readonly string[]
  /** The option whose value would be the next word. */
  readonly awaiting: OptionGrammar | undefined
}

/** Text stays as it was typed. `true` and `false` are a switch, or `true` an option whose value is missing. */
export type OptionValue = string | boolean

/** Splits words into the command, its options and its arguments, for parsing and for completion. Never throws. */
export function splitWords(grammar: Grammar, words: readonly string[]): SplitWords {
  const splitter = new Splitter(grammar)
  const end = words.indexOf('--')
  for (const word of end < 0 ? words : words.slice(0, end)) splitter.take(word)
  return splitter.finish(end < 0 ? [] : words.slice(end + 1))
}

class Splitter {
  readonly #grammar: Grammar
  readonly #given: { readonly name: string; value: OptionValue }[] = []
  readonly #rest: string[] = []
  #command: CommandGrammar | undefined
  #known: ReadonlyMap<string, OptionGrammar>
  /** The last option, while the next word may be its value. */
  #open: { readonly name: string; value: OptionValue } | undefined

  constructor(grammar: Grammar) {
    this.#grammar = grammar
    this.#known = knownOptions(grammar, undefined)
  }

  take(word: string): void {
    const open = this.#open
    this.#open = undefined
    if (open !== undefined && this.#isValueOf(open.name, word)) open.value = word
    else if (word.startsWith('--')) this.#takeLong(word.slice(2))
    else if (isOptionLike(word)) this.#takeLetters(word.slice(1))
    else this.#takeArgument(word)
  }

  finish(afterDashes: readonly string[]): SplitWords {
    for (const word of afterDashes) this.#takeArgument(word)
    const options = new Map<string, OptionValue[]>()
    for (const { name: typed, value } of this.#given) {
      const name = this.#known.get(typed)?.name ?? typed
      options.set(name, [...(options.get(name) ?? []), value])
    }
    const option = this.#open && this.#known.get(this.#open.name)
    const awaiting = option?.type === 'boolean' ? undefined : option
    return { command: this.#command, options, rest: this.#rest, awaiting }
  }

  #isValueOf(name: string, word: string): boolean {
    return this.#known.get(name)?.type === 'boolean' ? word === 'true' || word === 'false' : !isOptionLike(word)
  }

  #takeLong(text: string): void {
    const equals = text.indexOf('=')
    if (equals > 0) return void this.#give(text.slice(0, equals), text.slice(equals + 1))
    const negated = text.startsWith('no-') ? text.slice(3) : ''
    if (this.#known.get(negated)?.type === 'boolean') this.#give(negated, false)
    else this.#open = this.#give(text, true)
  }

  /** `-qp0`, `-qp=0` and `-qp 0` are `-q -p 0`. */
  #takeLetters(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const letter = text.charAt(at)
      const value = text.slice(at + 1)
      if (value !== '' && (value.startsWith('=') || this.#takesValue(letter)))
        return void this.#give(letter, value.replace(/^=/, ''))
      this.#open = this.#give(letter, true)
    }
  }

  #takesValue(name: string): boolean {
    const option = this.#known.get(name)
    return option !== undefined && option.type !== 'boolean'
  }

  #takeArgument(word: string): void {
    if (this.#command === undefined && this.#rest.length === 0) {
      this.#command = this.#grammar.commands.find(({ name }) => name === word)
      if (this.#command !== undefined) {
        this.#known = knownOptions(this.#grammar, this.#command)
        return
      }
    }
    this.#rest.push(word)
  }

  #give(name: string, value: OptionValue): { readonly name: string; value: OptionValue } {
    const given = { name, value }
    this.#given.push(given)
    return given
  }
}

/** By long names and aliases. */
function knownOptions(grammar: Grammar, command: CommandGrammar | undefined): ReadonlyMap<string, OptionGrammar> {
  const settings = command === undefined ? grammar.settings : settingsOf(grammar, command)
  const options = [...grammar.globals, ...settings, ...(command?.options ?? [])]
  return new Map(options.flatMap((option) => [option.name, ...option.aliases].map((name) => [name, option] as const)))
}

/** A dash alone and negative numbers are not options. */
function isOptionLike(word: string): boolean {
  return /^-[^\d]/.test(word) && !/^-\.\d+$/.test(word)
}
