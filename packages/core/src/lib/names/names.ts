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

/**
 * A name of settings and parameters as it is typed after two dashes.
 *
 * @example
 * kebabCase('maxLatency') // 'max-latency'
 * kebabCase('web.port') // 'web-port'
 */
export function kebabCase(name: string): string {
  return name
    .replaceAll('.', '-')
    .replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase()
}

// Topics that Millrace makes for an app, by name. `__` is in no name that an app may give.

/** Where the replies go that agents are asked for. */
export function repliesTopic(appId: string): string {
  return `${appId}-replies`
}

/** Where the dead letters of an agent go. */
export function deadLetterTopic(appId: string, agent: string): string {
  return `${appId}-${agent}-dlq`
}

/** Where it is remembered which letters were replayed: one row for each partition of each dead letter topic. */
export function replayLedgerTopic(appId: string): string {
  return `${appId}-__replays`
}

/** Where `groupBy` sends events: the topic that is read by the subscription of this id. */
export function repartitionTopic(appId: string, subscriptionId: string): string {
  return `${appId}-${subscriptionId}-repartition`
}

/** Id of the subscription by which a handler reads a further topic, merged into its stream. */
export function mergedSubscription(agent: string, topic: string): string {
  return `${agent}-merge-${topic}`
}

/** The compacted topic in which leaders keep what ran, and all workers which jobs are paused. */
export function schedulerTopic(appId: string): string {
  return `${appId}-__scheduler`
}
