import { MillraceError } from '../errors/millrace-error.ts'

const ALLOWED = /^[a-zA-Z0-9._-]+$/
const LONGEST = 249

/**
 * Returns a name that Kafka accepts for a topic, and so for everything that topics are named after: 1 to 249 letters,
 * digits, dots, dashes and underscores, but not `.` or `..`.
 *
 * @param kind what is named, for the message: `topic`, `agent`, `table`, `app id`
 * @throws `NAME_INVALID`
 */
export function validateName(kind: string, name: string): string {
  const problem = nameProblem(name)
  if (problem === undefined) return name
  throw new MillraceError('NAME_INVALID', `The ${kind} name ${JSON.stringify(name)} ${problem}.`)
}

/** Why a text is not a valid name, as the end of a sentence; `undefined` if it is valid. */
export function nameProblem(name: unknown): string | undefined {
  if (typeof name !== 'string') return 'is no text'
  if (name === '') return 'is empty'
  if (name === '.' || name === '..') return 'means a directory'
  if (name.length > LONGEST) return `has ${name.length} characters, and ${LONGEST} are the most`
  if (!ALLOWED.test(name)) return `has the character ${JSON.stringify(/[^a-zA-Z0-9._-]/u.exec(name)?.[0])}`
  return undefined
}

/**
 * The name of a setting or parameter as typed after two dashes.
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

// Topics that Millrace makes for an app, by name. No name that an app may choose contains `__`.

/** Name of the topic for replies of `ask`. */
export function repliesTopic(appId: string): string {
  return `${appId}-replies`
}

/** Name of the topic for an agent's dead letters. */
export function deadLetterTopic(appId: string, agent: string): string {
  return `${appId}-${agent}-dlq`
}

/** Name of the ledger of replays, with one row for each partition of each dead letter topic. */
export function replayLedgerTopic(appId: string): string {
  return `${appId}-__replays`
}

/** Name of the repartition topic to which `groupBy` sends events, by the id of the subscription that reads it. */
export function repartitionTopic(appId: string, subscriptionId: string): string {
  return `${appId}-${subscriptionId}-repartition`
}

/** Id of the subscription through which a handler reads a further topic, merged into its stream. */
export function mergedSubscription(agent: string, topic: string): string {
  return `${agent}-merge-${topic}`
}

/** Id of the subscription through which an agent reads what a state has due. */
export function dueSubscription(agent: string, state: string): string {
  return `${agent}-due-${state}`
}

/** Name of the state in which events of a subscription wait for their next attempt. */
export function retryState(subscriptionId: string): string {
  return `${subscriptionId}-retries`
}

/** Name of the compacted topic in which leaders record runs of jobs, and all workers record pauses. */
export function schedulerTopic(appId: string): string {
  return `${appId}-__scheduler`
}
