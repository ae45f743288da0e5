import { nearestName } from '../names/nearest-name.ts'
import { redactUrl } from './redact-url.ts'

/**
 * Scheme and rest of a driver URL. Not the runtime's `URL`: that knows no lists of hosts, and makes a path of what
 * follows a scheme.
 */
export function splitUrl<Scheme extends string>(
  text: string,
  schemes: readonly Scheme[],
  suggested: string,
  refuse: (problem: string) => never,
): { readonly scheme: Scheme; readonly rest: string } {
  if (text.trim() === '') return refuse('is empty')
  if (text !== text.trim()) return refuse('has spaces around it')
  const colon = text.indexOf(':')
  const word = text.slice(0, colon).toLowerCase()
  const scheme = schemes.find((known) => known === word)
  if (scheme !== undefined) return { scheme, rest: text.slice(colon + 1) }
  // A host with a port looks like a scheme with something behind it; two slashes tell them apart.
  if (colon < 1 || /^\d+(,|$)/.test(text.slice(colon + 1)))
    return refuse(`has no scheme: write ${suggested}${redactUrl(text)}`)
  const nearest = nearestName(word, schemes)
  const meant = nearest === undefined ? `known are ${schemes.join(', ')}` : `did you mean '${nearest}'?`
  return refuse(`has the unknown scheme '${word}' (${meant})`)
}
