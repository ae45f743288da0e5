import { MillraceError } from '../errors/millrace-error.ts'

const ALLOWED = /^[a-zA-Z0-9._-]+$/
const LONGEST = 249

/**
 * Gives back a name that Kafka accepts for a topic, and so for what topics are named after: 1 to 249 letters, digits,
 * dots, dashes and underscores, but not `.` or `..`.
 *
 * @param kind what is named, for the message: `topic`, `agent`, `table`, `app id`
 * @throws `NAME_INVALID`
 */
export function validateName(kind: string, name: string): string {
  const problem = nameProblem(name)
  if (problem === undefined) return name
  throw new MillraceError('NAME_INVALID', `The ${kind} name ${JSON.stringify(name)} ${problem}.`)
}

/** What keeps text from being a name, as the end of a sentence; `undefined` when nothing does. */
export function nameProblem(name: unknown): string | undefined {
  if (typeof name !== 'string') return 'is no text'
  if (name === '') return 'is empty'
  if (name === '.' || name === '..') return 'means a directory'
  if (name.length > LONGEST) return `has ${name.length} characters, and ${LONGEST} are the most`
  if (!ALLOWED.test(name)) return `has the character ${JSON.stringify(/[^a-zA-Z0-9._-]/u.exec(name)?.[0])}`
  return undefined
}
