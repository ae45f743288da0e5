import { MillraceError } from '../errors/millrace-error.ts'
import { nearestName } from './nearest-name.ts'

/** Every option of `O`, by its name. As a type it keeps the names that are checked and those that are declared the same. */
export type OptionNames<O> = { readonly [Name in keyof O]-?: true }

/**
 * Refuses options that do not exist. JavaScript, and objects that TypeScript has not seen as a literal, would otherwise
 * have them ignored without a word.
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
