import { padText, textWidth } from '../output/text-table.ts'
import { settingsOf, type CommandGrammar, type Grammar, type OptionGrammar, type ParameterGrammar } from './grammar.ts'
import { SETTING_HEADINGS } from './setting-options.ts'
import { splitWords } from './split-words.ts'

/** In the help without a command. */
const EXAMPLES: readonly (readonly [text: string, what: string])[] = [
  ['dev', 'run the app, and again when a source changes'],
  ["send posts 'hello world'", 'send a record'],
  ['tail posts --from beginning', 'see what is in a topic'],
]

const MAX_WIDTH = 110

/** Help for the command among `words`, or for all of them. */
export function helpText(grammar: Grammar, words: readonly string[], width: number): string {
  const { command } = splitWords(grammar, words)
  const sections = command === undefined ? overview(grammar) : helpOf(command, grammar)
  return sections.map((section) => layOut(section, Math.min(width, MAX_WIDTH))).join('\n\n')
}

interface Section {
  readonly heading: string
  readonly rows: readonly Row[]
}

interface Row {
  readonly name: string
  readonly describe: string
  /** In brackets, at the right edge. */
  readonly facts: readonly string[]
}

function overview(grammar: Grammar): readonly Section[] {
  const { program } = grammar
  return [
    text(`${program} <command> [options]`),
    {
      heading: 'Commands:',
      rows: grammar.commands.map((command) => row(`${program} ${usageOf(command)}`, command.describe)),
    },
    globalSection(grammar),
    { heading: 'Examples:', rows: EXAMPLES.map(([example, what]) => row(`${program} ${example}`, what)) },
    text(`${program} <command> --help explains a command.`),
  ]
}

function helpOf(command: CommandGrammar, grammar: Grammar): readonly Section[] {
  const { program } = grammar
  const { name, describe, positionals, options, showsSettings, examples = [] } = command
  const settings = showsSettings ? settingsOf(grammar, command) : []
  return [
    text(`${program} ${usageOf(command)} [options]`),
    text(describe),
    { heading: 'Arguments:', rows: positionals.map((argument) => row(argument.name, argument.describe, argument)) },
    optionSection(`Options of ${name}:`, options),
    ...SETTING_HEADINGS.map((heading) =>
      optionSection(
        `${heading}:`,
        settings.filter(({ group }) => group === heading),
      ),
    ),
    globalSection(grammar),
    { heading: 'Examples:', rows: examples.map((example) => row(`${program} ${example}`, '')) },
    ...(showsSettings ? [] : [text(`The settings of the app are options too: see ${program} worker --help.`)]),
  ].filter(({ heading, rows }) => rows.length > 0 || !heading.endsWith(':'))
}

function globalSection({ globals }: Grammar): Section {
  return optionSection('For every command:', globals)
}

function optionSection(heading: string, options: readonly OptionGrammar[]): Section {
  return { heading, rows: options.map((option) => row(spellingsOf(option), option.describe, option)) }
}

function text(heading: string): Section {
  return { heading, rows: [] }
}

function row(name: string, describe: string, parameter?: OptionGrammar | ParameterGrammar): Row {
  return { name, describe, facts: parameter === undefined ? [] : factsOf(parameter) }
}

/** Long names stand below each other, whether there is a letter or not. */
function spellingsOf({ name, aliases }: OptionGrammar): string {
  const letters = aliases.filter((alias) => alias.length === 1).map((letter) => `-${letter}, `)
  const longs = [name, ...aliases.filter((alias) => alias.length > 1)].map((long) => `--${long}`)
  return `${letters.join('').padStart(4)}${longs.join(', ')}`
}

function factsOf(parameter: OptionGrammar | ParameterGrammar): readonly string[] {
  const { type, required, choices, shownDefault, default: standard } = parameter
  const valueName = 'valueName' in parameter ? parameter.valueName : undefined
  const shown = shownDefault ?? (standard === undefined || standard === false ? undefined : JSON.stringify(standard))
  return [
    `[${valueName ?? (type === 'list' ? 'array' : type)}]`,
    ...(required ? ['[required]'] : []),
    ...(choices === undefined ? [] : [`[choices: ${choices.map((choice) => `"${choice}"`).join(', ')}]`]),
    ...(shown === undefined ? [] : [`[default: ${shown}]`]),
  ]
}

function usageOf({ name, positionals }: CommandGrammar): string {
  return [name, ...positionals.map(({ name: word, required }) => (required ? `<${word}>` : `[${word}]`))].join(' ')
}

function layOut({ heading, rows }: Section, width: number): string {
  const left = Math.min(Math.max(0, ...rows.map(({ name }) => textWidth(name))), Math.floor(width / 2))
  const lines = rows.flatMap(({ name, describe, facts }) => {
    const names = textWidth(name) <= left ? [name] : wrap(name, left)
    const described = describedLines(describe, facts, width - left - 4)
    return Array.from({ length: Math.max(names.length, described.length) }, (_, at) =>
      `  ${padText(names[at] ?? '', left)}  ${described[at] ?? ''}`.trimEnd(),
    )
  })
  return [...(rows.length === 0 ? wrap(heading, width) : [heading]), ...lines].join('\n')
}

function describedLines(describe: string, facts: readonly string[], width: number): readonly string[] {
  const lines = wrap(describe, width)
  const fact = facts.join(' ')
  if (fact === '') return lines
  const last = lines.at(-1) ?? ''
  if (textWidth(`${last} ${fact}`) <= width)
    return [...lines.slice(0, -1), last + padText(fact, width - textWidth(last), true)]
  return [...lines, ...wrapFacts(facts, width).map((line) => padText(line, width, true))]
}

/** Breaks a line inside brackets only where a fact is wider than the line. */
function wrapFacts(facts: readonly string[], width: number): readonly string[] {
  return joined(
    facts.flatMap((fact) => wrap(fact, width)),
    width,
  )
}

/** Lines of at most `width` columns, unless a single word is wider. */
function wrap(paragraph: string, width: number): readonly string[] {
  return joined(paragraph.split(/\s+/), width)
}

function joined(words: readonly string[], width: number): readonly string[] {
  const lines: string[] = []
  for (const word of words) {
    const line = lines.at(-1)
    if (line !== undefined && textWidth(`${line} ${word}`) <= width) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}
