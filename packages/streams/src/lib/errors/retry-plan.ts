import {
  checkOptions,
  type Duration,
  MillraceError,
  type OptionNames,
  shownValue,
  wholeMilliseconds,
} from '@millrace/core'
import type { RetryPlan } from '../events/agent-context.ts'
import type { OnError } from './error-policy.ts'

/** Retries between which an event waits without holding up its partition. */
export interface RetryDelays {
  /**
   * The wait before each further attempt. After the attempt that follows the last one, `then` of `onError` decides: by
   * default, the event is kept as a dead letter. Without any, nothing new waits; what waits already is still handled.
   */
  readonly delays: readonly Duration[]
  /**
   * `'key'`: later events of the key wait behind the one that has failed. `'none'`: they are handled at once. An event
   * without a key keeps no other one waiting. Default `'key'`.
   */
  readonly order?: 'key' | 'none' | undefined
}

/** Other options of the agent that must go with its delays. */
interface OtherOptions {
  readonly ordering: 'key' | 'none'
  readonly onError: OnError<never, never> | undefined
}

const RETRY_OPTIONS: OptionNames<RetryDelays> = { delays: true, order: true }

/** The plan for an agent's option `retry`. `where`: for messages. Throws `RETRY_INVALID`, `DEFINITION_INVALID`. */
export function retryPlan(where: string, options: RetryDelays, { ordering, onError }: OtherOptions): RetryPlan {
  checkOptions(`retry of ${where}`, options, RETRY_OPTIONS)
  const { delays, order = 'key' } = options
  if (!Array.isArray(delays))
    throw new MillraceError('RETRY_INVALID', `retry of ${where} has delays ${shownValue(delays)}, which is no list.`)
  if (order !== 'key' && order !== 'none')
    throw new MillraceError(
      'RETRY_INVALID',
      `retry of ${where} has order: ${shownValue(order)}; it takes 'key' or 'none'.`,
    )
  if (order === 'key' && ordering === 'none')
    throw new MillraceError(
      'RETRY_INVALID',
      `The ${where} has ordering: 'none', so its retries cannot keep the order of keys: add order: 'none' to retry.`,
    )
  if (typeof onError === 'string' && onError !== 'retry')
    throw new MillraceError(
      'RETRY_INVALID',
      `The ${where} has onError: '${onError}', which gives an event up at its first failure, and so its delays are never used: write onError: { retry: 0, then: '${onError}' }.`,
    )
  return { delaysMs: delays.map((delay, nth) => delayMs(`delays[${nth}] of retry of ${where}`, delay)), order }
}

function delayMs(what: string, delay: Duration): number {
  const ms = wholeMilliseconds(delay, what, 'RETRY_INVALID')
  if (ms > 0) return ms
  throw new MillraceError('RETRY_INVALID', `${what} is ${shownValue(delay)}; it must be longer.`)
}

/** An operator of the agent cannot go with its delays. `why`: what stands in their way, and what to do. */
export function cannotWait(agent: string, why: string): MillraceError {
  return new MillraceError('RETRY_INVALID', `Agent "${agent}" has retry, but ${why}`)
}
