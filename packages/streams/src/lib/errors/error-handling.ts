import {
  codecWait,
  deadLetterTopic,
  errorText,
  formatDuration,
  isChangeOfFrozen,
  isMillraceError,
  MillraceError,
  raceAbort,
  toError,
} from '@millrace/core'
import type { WorkerContext } from '@millrace/worker'
import { describeError, shorten } from '../dead-letters/letter-headers.ts'
import { sendDeadLetters } from '../dead-letters/send-dead-letters.ts'
import type { AgentContext } from '../events/agent-context.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import { LONGEST_MESSAGE, waitingIn } from '../retries/waiting-event.ts'
import {
  backoffMs,
  decideOnError,
  type ErrorAction,
  type ErrorPolicy,
  errorPolicy,
  endsAtOnce,
  isProgramMistake,
  mistakePolicy,
  type OnError,
} from './error-policy.ts'

/** Shared by the agents of a worker, and read before each event: a flag costs less than asking the signal. */
export interface WorkerEnding {
  /** Hand-out has ended, because an agent has failed or the worker stops hard. */
  stopped: boolean
}

export interface ErrorHandlingOptions {
  readonly onError: OnError<never, never> | undefined
  readonly defaults: ErrorPolicy
  readonly ending: WorkerEnding
}

/** How long a stopping worker waits for the reply that gives the reason. */
const LAST_REPLY_MS = 2000

/** Decides what happens to events on which an agent fails, in its handler, its operators or its decoding. */
export class ErrorHandling {
  readonly context: AgentContext
  readonly #options: ErrorHandlingOptions

  constructor(context: AgentContext, options: ErrorHandlingOptions) {
    this.context = context
    const { defaults } = options
    // Events that wait outside of their partitions are not retried in place, unless `onError` says so.
    this.#options = context.retry === undefined ? options : { ...options, defaults: { ...defaults, retries: 0 } }
  }

  /** Whether a failure has ended the worker, or it stops hard. */
  get stopped(): boolean {
    return this.#options.ending.stopped
  }

  /** How long to wait before a handler that has failed without a current event is restarted. */
  backoffMs(restarts: number): number {
    return backoffMs(this.#options.defaults, restarts, Math.random())
  }

  /** Ends the worker. */
  stop(error: Error): void {
    const { ending } = this.#options
    if (ending.stopped) return
    ending.stopped = true
    this.context.worker.fail(error)
  }

  /** Reports an error to the sensor. */
  report(error: Error): void {
    const { worker, agent } = this.context
    worker.sensor.errorRaised({ source: agent, error })
  }

  /**
   * Retries the event, skips it, keeps it as a dead letter, or ends the worker. The event is not in flight afterwards.
   */
  async settle(failed: StreamEvent, thrown: unknown): Promise<void> {
    const event = failed.first
    const { inFlight } = event
    if (!event.open) return event.requeue()
    // The event is deferred until the one that holds its key is done; neither has failed.
    if (inFlight.isDeferred || inFlight.deferIfOutdated()) return event.finish()
    const wait = codecWait(thrown)
    if (wait !== undefined) return await this.#requeueAfter(wait, event)
    const { worker, agent, counters } = this.context
    const error = explained(thrown, event)
    const { topic, partition, offset, attempts } = inFlight
    const at = { agent, topic, partition, offset, attempts: attempts + 1, err: error }
    counters.failed++
    event.trace?.failed(error)
    this.report(error)
    const decision = await this.#decide(event, thrown)
    // The task was lost while onError ran: its new owner handles the event.
    if (!event.open) return event.requeue()
    if (decision.kind === 'retry') {
      counters.retried++
      worker.log.warn(at, `Agent "${agent}" failed on an event; it is retried in ${Math.round(decision.delayMs)} ms.`)
      return event.retry(decision.delayMs)
    }
    event.rollback(error)
    // The effects could be dropped only with the task: the event is redelivered, as one that has failed with this
    // error.
    if (!event.open && decision.kind !== 'stop') return event.requeue()
    if (decision.kind === 'wait' && this.#wait(event, error, { ...at, delayMs: decision.delayMs })) return
    switch (decision.kind === 'wait' ? decision.then : decision.kind) {
      case 'skip':
        worker.log.error(at, `Agent "${agent}" failed on an event, which is skipped.`)
        await event.replies?.refuse(error, event.first.trace)
        return event.finish('skipped')
      case 'deadLetter':
        return await this.#keepAsDeadLetter(event, error, at)
      case 'stop':
        worker.log.error(at, `Agent "${agent}" failed on an event: the worker stops.`)
        return await this.#giveUp(event, error)
    }
  }

  /** Neither event nor handler has failed: a codec needs something from outside first. */
  async #requeueAfter(wait: Promise<void>, event: StreamEvent): Promise<void> {
    const { draining } = this.context.worker
    try {
      await raceAbort(wait, AbortSignal.any([event.inFlight.signal, draining]))
    } catch {
      // Neither a rebalance nor a stop waits for it, and a lost event is over.
    }
    event.requeue()
  }

  /**
   * The event leaves its partition, and is handed out again after the delay. False if it is too large for the row in which it
   * would wait.
   */
  #wait(event: StreamEvent, error: Error, at: { readonly delayMs: number }): boolean {
    const { worker, agent, counters } = this.context
    const { origin, event: current, inFlight } = event.first
    if (origin.retries === undefined || current === undefined) return false
    const now = worker.clock.now()
    const { code, class: name, message } = describeError(error, worker.redact)
    const failure = { at: now, code, class: name, message: shorten(message, LONGEST_MESSAGE) }
    try {
      origin.retries.leave(current, { at: now + at.delayMs, attempts: inFlight.attempts + 1, failure })
    } catch (thrown) {
      if (isMillraceError(thrown, 'ROW_TOO_LARGE')) {
        worker.log.error(
          { ...at, err: thrown },
          `An event of agent "${agent}" is too large to wait for its next attempt.`,
        )
        return false
      }
      // Otherwise another event of its key is about to wait, and this one comes after it.
      if (!inFlight.isDeferred) this.stop(toError(thrown))
      event.requeue()
      return true
    }
    counters.retried++
    worker.log.warn(
      at,
      `Agent "${agent}" failed on an event; it waits, and is retried in ${formatDuration(at.delayMs)}.`,
    )
    event.finish('delayed')
    return true
  }

  /**
   * The letter is the only effect of the event, which is finished with it, so letter and position are committed
   * together.
   */
  async #keepAsDeadLetter(event: StreamEvent, error: Error, at: object): Promise<void> {
    const { worker, agent } = this.context
    try {
      await sendDeadLetters(event, error, this.context)
    } catch (thrown) {
      if (!event.open) return event.requeue()
      event.rollback(error)
      const why = toError(thrown)
      const said = isMillraceError(why) ? `${why.code}: ${why.detail}` : why.message
      worker.log.error(
        { ...at, deadLetterError: why },
        `Agent "${agent}" failed on an event that cannot be kept as a dead letter: the worker stops.`,
      )
      return await this.#giveUp(
        event,
        error,
        ` It cannot be kept as a dead letter: ${asSentence(said)} Make room or grant the missing right; onError 'skip' continues without a dead letter.`,
      )
    }
    worker.log.error(at, `Agent "${agent}" failed on an event, which goes to ${deadLetterTopic(worker.appId, agent)}.`)
    await event.replies?.refuse(error, event.first.trace)
    event.finish('deadLettered')
  }

  /** Stops the worker, with the event uncommitted. */
  async #giveUp(event: StreamEvent, error: Error, more = ''): Promise<void> {
    const { worker, agent } = this.context
    const { topic, partition, offset, attempts } = event.inFlight
    await Promise.race([event.replies?.refuse(error, event.first.trace), pause(worker)])
    this.stop(
      new MillraceError(
        'AGENT_FAILED',
        `Agent "${agent}" failed on ${topic}/${partition} at offset ${offset}, attempt ${attempts + 1}: ${errorText(error)}${more}`,
        { cause: error },
      ),
    )
  }

  async #decide(event: StreamEvent, thrown: unknown): Promise<ReturnType<typeof decideOnError>> {
    const { onError, defaults } = this.#options
    const { attempts } = event.inFlight
    const error = toError(thrown)
    const action = typeof onError === 'function' ? await this.#ask(onError, event, error) : onError
    const policy = errorPolicy(action, defaults, `agent "${this.context.agent}"`)
    const random = Math.random()
    const waitMs = endsAtOnce(action) ? undefined : this.#waitMs(event)
    if (isProgramMistake(error))
      return decideOnError(mistakePolicy(action, policy), { attempts, isFinal: true, random })
    return decideOnError(policy, {
      attempts,
      isFinal: event.isUndecodable(thrown) || isMillraceError(error, 'EVENT_BLOCKED'),
      random,
      waitMs,
    })
  }

  /** The next wait of the event outside of its partition. */
  #waitMs({ origin, event }: StreamEvent): number | undefined {
    if (origin.retries === undefined || event === undefined) return undefined
    return this.context.retry?.delaysMs[waitingIn(event.record)?.waiting.waits ?? 0]
  }

  async #ask(
    onError: Extract<OnError<never, never>, (...args: never) => unknown>,
    event: StreamEvent,
    error: Error,
  ): Promise<ErrorAction | undefined> {
    try {
      return await onError({
        error,
        event: event.original<never, never>(),
        attempts: event.inFlight.attempts,
      })
    } catch (thrown) {
      const { worker, agent } = this.context
      worker.log.error(
        { agent, err: toError(thrown) },
        `The onError of agent "${agent}" failed itself; the worker stops.`,
      )
      return 'stop'
    }
  }
}

/** JavaScript's message names the property, but neither the table nor the key of its value. */
function explained(thrown: unknown, { inFlight }: StreamEvent): Error {
  const error = toError(thrown)
  if (!isChangeOfFrozen(error)) return error
  const reads = inFlight.describeReads()
  if (reads.length === 0) return error
  return new MillraceError('VALUE_FROZEN', `${error.message}. The event has read ${reads.join(', ')}.`, {
    cause: error,
  })
}

async function pause(worker: WorkerContext): Promise<void> {
  try {
    await worker.clock.sleep(LAST_REPLY_MS, worker.signal)
  } catch {
    // The worker is stopping hard, so there is nothing to wait for.
  }
}

/** The broker's text may lack the full stop. */
function asSentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
