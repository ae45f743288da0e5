import { MillraceError } from '../errors/millrace-error.ts'

/** Every option of `O` by name. The type keeps the checked names equal to the declared ones. */
export type OptionNames<O> = { readonly [Name in keyof O]-?: true }

/**
 * Refuses options that do not exist. JavaScript, and objects that TypeScript has not seen as a literal, would otherwise
 * have them silently ignored.
 *
 * @param where whose options they are, in the middle of a sentence: `timer "tick"`
 * @throws `DEFINITION_INVALID`, naming the option and the one most likely meant; also for what is no object
 * @example
 * const TIMER_OPTIONS: OptionNames<TimerOptions> = { name: true, onLeader: true }
 * checkOptions('timer "tick"', { onLeadr: true }, TIMER_OPTIONS)
 * // DEFINITION_INVALID: Timer "tick" has no option onLeadr. Did you mean onLeader?
 */
export function checkOptions(where: string, options: unknown, known: OptionNames<object>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new MillraceError('DEFINITION_INVALID', `The options of ${where} are ${show(options)}; they take an object.`)
  const names = Object.keys(known)
  const unknown = Object.keys(options).find((name) => !names.includes(name))
  if (unknown === undefined) return
  const nearest = nearestName(unknown, names)
  const hint = nearest === undefined ? `There are ${names.join(', ')}.` : `Did you mean ${nearest}?`
  throw new MillraceError('DEFINITION_INVALID', `${capital(where)} has no option ${unknown}. ${hint}`)
}

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return JSON.stringify(value)
  return typeof value === 'function' ? 'a function' : String(value)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/**
 * The candidate that was most likely meant, for "did you mean"; `undefined` if none is near: more than a third of the
 * word would have to change, and it is not a short form of exactly one, as `tz` is of `timezone`. Case is ignored.
 *
 * @example
 * nearestName('comitInterval', ['commitInterval', 'connectTimeout']) // 'commitInterval'
 */
export function nearestName(word: string, candidates: Iterable<string>): string | undefined {
  const all = [...candidates]
  let nearest: string | undefined
  let least = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of all) {
    const distance = edits(word.toLowerCase(), candidate.toLowerCase())
    if (distance >= least) continue
    least = distance
    nearest = candidate
  }
  return nearest ?? spelledOut(word, all)
}

/**
 * A suggestion to follow a sentence about an unknown name: the name that was most likely meant, with a leading space;
 * empty if none is near.
 *
 * @param show how it is written. Default: in quotes
 * @example
 * `There is no table "${name}".${didYouMean(name, tables)}` // There is no table "count". Did you mean "counts"?
 */
export function didYouMean(
  word: string,
  candidates: Iterable<string>,
  show: (name: string) => string = JSON.stringify,
): string {
  const nearest = nearestName(word, candidates)
  return nearest === undefined ? '' : ` Did you mean ${show(nearest)}?`
}

/** The one candidate that begins as the word does and has its other letters in the same order. */
function spelledOut(word: string, candidates: readonly string[]): string | undefined {
  if (word.length < 2) return undefined
  const longer = candidates.filter((candidate) => shortens(word.toLowerCase(), candidate.toLowerCase()))
  return longer.length === 1 ? longer[0] : undefined
}

function shortens(word: string, candidate: string): boolean {
  if (word[0] !== candidate[0]) return false
  let at = 0
  for (const letter of candidate) if (letter === word[at]) at++
  return at === word.length
}

/** Letters to insert, delete, replace or swap with their neighbour to get from one word to the other. */
function edits(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, j) => j)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = at(last, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1)
      let best = Math.min(replaced, at(last, j) + 1, at(row, j - 1) + 1)
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (swapped) best = Math.min(best, at(beforeLast, j - 2) + 1)
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return at(last, to.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
