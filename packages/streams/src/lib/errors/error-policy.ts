import {
  backoffMs as growingBackoffMs,
  checkOptions,
  type Duration,
  isMillraceError,
  MillraceError,
  type OptionNames,
  parseDuration,
} from '@millrace/core'
import type { Event } from '../events/event.ts'

/** Try again some times, then give the event up. */
export interface RetryOptions {
  /** Attempts after the first one. */
  readonly retry: number
  /** Before the first retry; doubled each time. Default `'100ms'`. */
  readonly backoff?: Duration | undefined
  /** Longest wait. Default `'10s'`. */
  readonly maxBackoff?: Duration | undefined
  /**
   * When all of them have failed, and at once for what cannot be decoded. Default `'deadLetter'`; `'stop'` for mistakes of
   * the program.
   */
  readonly then?: LastResort | undefined
}

/**
 * The end of an event on which an agent fails for good: `'deadLetter'` keeps it in the topic `{app id}-{agent}-dlq`, `'skip'`
 * gives it up with a line in the log, `'stop'` ends the worker with the event uncommitted.
 *
 * A dead letter that is too large for the topic is shortened, and says so in its header `millrace-trimmed`. One that is
 * refused for another reason (no right to write there, the topic gone) stops the worker, and then the next: where the topic
 * cannot be repaired, `'skip'` goes on.
 */
export type LastResort = 'deadLetter' | 'skip' | 'stop'

/**
 * What becomes of an event on which an agent failed: `'retry'`, the default, tries again (3 times, unless the settings
 * `agent.*` say otherwise) and then makes a dead letter of it; the others do not try again.
 *
 * Mistakes of the program (`KEY_NOT_OWNED`, `KEY_CODEC_DIFFERS`, `NOT_COPARTITIONED`, `ASK_IN_TRANSACTION`,
 * `ROW_UNDECODABLE`, `TIME_AMBIGUOUS`) would fail most events in the same way: they are not tried again, and stop the worker unless the
 * action names another end.
 */
export type ErrorAction = 'retry' | LastResort | RetryOptions

/** What a function given as `onError` gets; `K` and `V` as its agent reads them. */
export interface FailedEvent<K = unknown, V = unknown> {
  readonly error: Error
  /** As it came, whatever operators have made of its value: `undefined` where that cannot be decoded. */
  readonly event: Event<K, V | undefined>
  /** Attempts that failed before this one. */
  readonly attempts: number
}

/** What an agent does about events on which it fails: an action, or a function that decides for each. */
export type OnError<K = unknown, V = unknown> =
  | ErrorAction
  | ((failed: FailedEvent<K, V>) => ErrorAction | undefined | Promise<ErrorAction | undefined>)

/** A policy with every number filled in. */
export interface ErrorPolicy {
  readonly retries: number
  readonly backoffMs: number
  readonly maxBackoffMs: number
  /** When the retries are used up. */
  readonly then: LastResort
}

export type Decision = { readonly kind: 'retry'; readonly delayMs: number } | { readonly kind: LastResort }

export const DEFAULT_ERROR_POLICY: ErrorPolicy = Object.freeze({
  retries: 3,
  backoffMs: 100,
  maxBackoffMs: 10_000,
  then: 'deadLetter',
})

const RETRY_OPTIONS: OptionNames<RetryOptions> = { retry: true, backoff: true, maxBackoff: true, then: true }
const ENDS: readonly LastResort[] = ['deadLetter', 'skip', 'stop']

/**
 * Fills in an action with the defaults.
 *
 * @throws `DEFINITION_INVALID`, `DURATION_INVALID`
 */
export function errorPolicy(action: ErrorAction | undefined, defaults: ErrorPolicy, where: string): ErrorPolicy {
  if (action === undefined || action === 'retry') return defaults
  if (typeof action === 'string') return { ...defaults, retries: 0, then: knownEnd(action, where) }
  checkOptions(`the onError of ${where}`, action, RETRY_OPTIONS)
  const { retry, backoff, maxBackoff, then = defaults.then } = action
  if (!Number.isSafeInteger(retry) || retry < 0)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The onError of ${where} has retry: ${String(retry)}, which is not a whole number from 0.`,
    )
  const backoffMs = backoff === undefined ? defaults.backoffMs : parseDuration(backoff, `backoff of ${where}`)
  const maxBackoffMs =
    maxBackoff === undefined ? defaults.maxBackoffMs : parseDuration(maxBackoff, `maxBackoff of ${where}`)
  return { retries: retry, backoffMs, maxBackoffMs: Math.max(backoffMs, maxBackoffMs), then: knownEnd(then, where) }
}

function knownEnd(end: LastResort, where: string): LastResort {
  if (ENDS.includes(end)) return end
  throw new MillraceError(
    'DEFINITION_INVALID',
    `The onError of ${where} has ${JSON.stringify(end)}, which is none of 'retry', 'deadLetter', 'skip' and 'stop'.`,
  )
}

/** Whether an agent with this `onError` can make dead letters. A function may. */
export function canDeadLetter(onError: OnError<never, never> | undefined, defaults: ErrorPolicy): boolean {
  return typeof onError === 'function' || errorPolicy(onError, defaults, 'an agent').then === 'deadLetter'
}

export interface FailedAttempt {
  /** Attempts that failed before this one. */
  readonly attempts: number
  /** Trying again changes nothing: the record cannot be decoded, has blocked the event loop, or the program is wrong. */
  readonly isFinal: boolean
  /** From 0 to 1: spreads the retries of many workers. */
  readonly random: number
}

/** What to do about a failed event. Pure. */
export function decideOnError(policy: ErrorPolicy, { attempts, isFinal, random }: FailedAttempt): Decision {
  if (isFinal || attempts >= policy.retries) return { kind: policy.then }
  return { kind: 'retry', delayMs: backoffMs(policy, attempts, random) }
}

/** Doubles with each attempt up to the longest wait; the last quarter of it is left to chance. */
export function backoffMs(
  policy: Pick<ErrorPolicy, 'backoffMs' | 'maxBackoffMs'>,
  attempts: number,
  random: number,
): number {
  const { backoffMs: firstMs, maxBackoffMs: mostMs } = policy
  return growingBackoffMs(Math.min(attempts, 30) + 1, { firstMs, mostMs, jitter: 0.25 }, 1 - random)
}

const PROGRAM_MISTAKES = [
  'KEY_NOT_OWNED',
  'KEY_CODEC_DIFFERS',
  'NOT_COPARTITIONED',
  'ASK_IN_TRANSACTION',
  // The table lacks a `migrate`, or has another codec than its rows were written with.
  'ROW_UNDECODABLE',
  'TIME_AMBIGUOUS',
  'TABLE_IS_TOPIC',
  'TABLE_IS_JOIN',
] as const

/** A mistake of the program rather than of one event: most other events will fail of it too. */
export function isProgramMistake(error: Error): boolean {
  return isMillraceError(error, ...PROGRAM_MISTAKES)
}

/** The policy for such a mistake: what the action says of the end counts, and the defaults of the app do not. */
export function mistakePolicy(action: ErrorAction | undefined, policy: ErrorPolicy): ErrorPolicy {
  const isEndNamed = typeof action === 'object' ? action.then !== undefined : action !== undefined && action !== 'retry'
  return isEndNamed ? policy : { ...policy, then: 'stop' }
}
