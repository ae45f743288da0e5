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

/** Retries a number of times, then gives the event up. */
export interface RetryOptions {
  /** Attempts after the first one. */
  readonly retry: number
  /** The wait before the first retry; doubled each time. Default `'100ms'`. */
  readonly backoff?: Duration | undefined
  /** The longest wait. Default `'10s'`. */
  readonly maxBackoff?: Duration | undefined
  /**
   * The action when all attempts have failed, and at once for undecodable events. Default `'deadLetter'`; `'stop'` for
   * mistakes of the program.
   */
  readonly then?: LastResort | undefined
}

/**
 * The end of an event on which an agent fails permanently: `'deadLetter'` keeps it in the topic `{app id}-{agent}-dlq`,
 * `'skip'` gives it up with a log line, `'stop'` ends the worker with the event uncommitted.
 *
 * A dead letter that is too large for the topic is shortened, as its header `millrace-trimmed` shows. If the letter is
 * refused for another reason (no right to write, the topic is gone), the worker stops, and so will the next one: if the
 * topic cannot be repaired, use `'skip'`.
 */
export type LastResort = 'deadLetter' | 'skip' | 'stop'

/**
 * What happens to an event on which an agent failed: `'retry'`, the default, retries (3 times, unless the settings
 * `agent.*` differ) and then makes a dead letter; the others do not retry.
 *
 * Mistakes of the program (`KEY_NOT_OWNED`, `KEY_CODEC_DIFFERS`, `NOT_COPARTITIONED`, `ASK_IN_TRANSACTION`,
 * `ROW_UNDECODABLE`, `TIME_AMBIGUOUS`) would fail most events in the same way: they are not retried, and stop the
 * worker unless the action names another end.
 */
export type ErrorAction = 'retry' | LastResort | RetryOptions

/** The argument of a function given as `onError`; `K` and `V` as its agent reads them. */
export interface FailedEvent<K = unknown, V = unknown> {
  readonly error: Error
  /**
   * The original event, whatever operators have made of its value; the value is `undefined` if it cannot be decoded.
   */
  readonly event: Event<K, V | undefined>
  /** How many attempts failed before this one. */
  readonly attempts: number
}

/** What an agent does about events on which it fails: an action, or a function that decides for each event. */
export type OnError<K = unknown, V = unknown> =
  | ErrorAction
  | ((failed: FailedEvent<K, V>) => ErrorAction | undefined | Promise<ErrorAction | undefined>)

/** A policy with all defaults filled in. */
export interface ErrorPolicy {
  readonly retries: number
  readonly backoffMs: number
  readonly maxBackoffMs: number
  /** The action when the retries are used up. */
  readonly then: LastResort
}

/** `retry`: in place. `wait`: the event leaves its partition until then; `then`: what happens if it cannot. */
export type Decision =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'wait'; readonly delayMs: number; readonly then: LastResort }
  | { readonly kind: LastResort }

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

/** Whether an action gives the event up at its first failure. */
export function endsAtOnce(action: ErrorAction | undefined): boolean {
  return typeof action === 'string' && action !== 'retry'
}

/** Whether an agent with this `onError` can make dead letters. A function might. */
export function canDeadLetter(onError: OnError<never, never> | undefined, defaults: ErrorPolicy): boolean {
  return typeof onError === 'function' || errorPolicy(onError, defaults, 'an agent').then === 'deadLetter'
}

export interface FailedAttempt {
  /** How many attempts failed before this one. */
  readonly attempts: number
  /**
   * A retry would change nothing: the record cannot be decoded, has blocked the event loop, or the program is wrong.
   */
  readonly isFinal: boolean
  /** From 0 to 1, to spread the retries of many workers. */
  readonly random: number
  /** The wait outside of its partition that is next; `undefined` if there is none, or no more. */
  readonly waitMs?: number | undefined
}

/** What to do about a failed event. Pure. */
export function decideOnError(policy: ErrorPolicy, { attempts, isFinal, random, waitMs }: FailedAttempt): Decision {
  if (isFinal) return { kind: policy.then }
  if (attempts < policy.retries) return { kind: 'retry', delayMs: backoffMs(policy, attempts, random) }
  return waitMs === undefined ? { kind: policy.then } : { kind: 'wait', delayMs: waitMs, then: policy.then }
}

/** Doubles with each attempt up to the longest wait; the last quarter is random. */
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
  // The table lacks a `migrate`, or its codec differs from that of its rows.
  'ROW_UNDECODABLE',
  'TIME_AMBIGUOUS',
  'TABLE_IS_TOPIC',
  'TABLE_IS_JOIN',
] as const

/** A mistake of the program rather than of one event, on which most other events will fail too. */
export function isProgramMistake(error: Error): boolean {
  return isMillraceError(error, ...PROGRAM_MISTAKES)
}

/** The policy for such a mistake: the end of the action counts, but not the defaults of the app. */
export function mistakePolicy(action: ErrorAction | undefined, policy: ErrorPolicy): ErrorPolicy {
  const isEndNamed = typeof action === 'object' ? action.then !== undefined : action !== undefined && action !== 'retry'
  return isEndNamed ? policy : { ...policy, then: 'stop' }
}
