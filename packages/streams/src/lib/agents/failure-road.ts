import {
  deadLetterTopic,
  errorText,
  isChangeOfFrozen,
  isMillraceError,
  MillraceError,
  type ScopeStorage,
  toError,
  type WorkerContext,
} from '@millrace/core'
import { sendDeadLetters } from '../dead-letters/send-dead-letters.ts'
import type { Delivery } from '../events/delivery.ts'
import { Event } from '../events/event.ts'
import type { AgentCounters } from './agent-counters.ts'
import {
  backoffMs,
  decideOnError,
  type ErrorAction,
  type ErrorPolicy,
  errorPolicy,
  isProgramMistake,
  mistakePolicy,
  type OnError,
} from './error-policy.ts'

export interface FailureRoadOptions {
  readonly storage: ScopeStorage
  readonly worker: WorkerContext
  readonly agent: string
  readonly onError: OnError<never, never> | undefined
  readonly defaults: ErrorPolicy
  readonly counters: AgentCounters
  readonly ending: WorkerEnding
}

/** Shared by the agents of a worker, and read before each event: a flag costs less than asking the signal. */
export interface WorkerEnding {
  /** Nothing is handed out any more: an agent has failed, or the worker stops hard. */
  stopped: boolean
}

/** How long a worker that stops waits for telling an asker why. */
const LAST_WORDS_MS = 2000

/** What becomes of events on which an agent fails, in its handler, its operators or its decoding. */
export class FailureRoad {
  readonly #options: FailureRoadOptions
  constructor(options: FailureRoadOptions) {
    this.#options = options
  }

  /** A failure has ended the worker, or it stops hard. */
  get stopped(): boolean {
    return this.#options.ending.stopped
  }

  /** How long a handler waits that fails with no event in hand. */
  backoffMs(restarts: number): number {
    return backoffMs(this.#options.defaults, restarts, Math.random())
  }

  /** Ends the worker. */
  stop(error: Error): void {
    const { ending, worker } = this.#options
    if (ending.stopped) return
    ending.stopped = true
    worker.fail(error)
  }

  /** Tells monitor and log of an error that belongs to no event. */
  report(error: Error): void {
    const { worker, agent } = this.#options
    worker.sensor.errorRaised({ source: agent, error })
  }

  /** The event is tried again, given up, kept as a dead letter, or the end of the worker. It is not in hand afterwards. */
  async settle(delivery: Delivery, thrown: unknown): Promise<void> {
    if (!delivery.open) return delivery.putBack()
    // Its place is behind the event that has the key in hand; nobody has failed.
    if (delivery.isSetAside || delivery.handBackIfOutdated()) return delivery.finish()
    const { worker, agent, counters } = this.#options
    const error = explained(thrown, delivery)
    const { topic, partition, offset, attempts } = delivery
    const at = { agent, topic, partition, offset, attempts: attempts + 1, err: error }
    counters.failed++
    this.report(error)
    const decision = await this.#decide(delivery, thrown)
    // The task was lost while onError thought about it: whoever has it now handles the event.
    if (!delivery.open) return delivery.putBack()
    if (decision.kind === 'retry') {
      counters.retried++
      worker.log.warn(
        at,
        `Agent "${agent}" failed on an event; it is tried again in ${Math.round(decision.delayMs)} ms.`,
      )
      return delivery.retry(decision.delayMs)
    }
    delivery.rollback(error)
    // What it did could be dropped only with its task: it comes back as one that has failed with this error.
    if (!delivery.open && decision.kind !== 'stop') return delivery.putBack()
    switch (decision.kind) {
      case 'skip':
        worker.log.error(at, `Agent "${agent}" failed on an event, which is skipped.`)
        await delivery.refuse(error)
        return delivery.skip()
      case 'deadLetter':
        return await this.#bury(delivery, error, at)
      case 'stop':
        worker.log.error(at, `Agent "${agent}" failed on an event: the worker stops.`)
        return await this.#giveUp(delivery, error)
    }
  }

  /** The letter is the only effect of the event, which is finished with it: it goes where the event's position goes. */
  async #bury(delivery: Delivery, error: Error, at: object): Promise<void> {
    const { worker, agent } = this.#options
    try {
      await sendDeadLetters(delivery, { worker, agent, error })
    } catch (thrown) {
      if (!delivery.open) return delivery.putBack()
      delivery.rollback(error)
      const why = toError(thrown)
      const said = isMillraceError(why) ? `${why.code}: ${why.detail}` : why.message
      worker.log.error(
        { ...at, deadLetterError: why },
        `Agent "${agent}" failed on an event that cannot be kept as a dead letter: the worker stops.`,
      )
      return await this.#giveUp(
        delivery,
        error,
        ` It cannot be kept as a dead letter: ${asSentence(said)} Make room or give the right for it; onError 'skip' goes on without one.`,
      )
    }
    worker.log.error(at, `Agent "${agent}" failed on an event, which goes to ${deadLetterTopic(worker.appId, agent)}.`)
    await delivery.refuse(error)
    delivery.bury()
  }

  /** Gives up: the worker stops with the event uncommitted. */
  async #giveUp(delivery: Delivery, error: Error, more = ''): Promise<void> {
    const { worker, agent } = this.#options
    const { topic, partition, offset, attempts } = delivery
    await Promise.race([delivery.refuse(error), pause(worker)])
    this.stop(
      new MillraceError(
        'AGENT_FAILED',
        `Agent "${agent}" failed on ${topic}/${partition} at offset ${offset}, attempt ${attempts + 1}: ${errorText(error)}${more}`,
        { cause: error },
      ),
    )
  }

  async #decide(delivery: Delivery, thrown: unknown): Promise<ReturnType<typeof decideOnError>> {
    const { onError, defaults, agent } = this.#options
    const { attempts } = delivery
    const error = toError(thrown)
    const action = typeof onError === 'function' ? await this.#ask(onError, delivery, error) : onError
    const policy = errorPolicy(action, defaults, `agent "${agent}"`)
    const random = Math.random()
    if (isProgramMistake(error))
      return decideOnError(mistakePolicy(action, policy), { attempts, isFinal: true, random })
    return decideOnError(policy, {
      attempts,
      isFinal: delivery.isUndecodable(thrown) || isMillraceError(error, 'EVENT_BLOCKED'),
      random,
    })
  }

  async #ask(
    onError: Extract<OnError<never, never>, (...args: never) => unknown>,
    delivery: Delivery,
    error: Error,
  ): Promise<ErrorAction | undefined> {
    try {
      return await onError({
        error,
        event: Event.asItCame<never, never>(this.#options, delivery),
        attempts: delivery.attempts,
      })
    } catch (thrown) {
      const { worker, agent } = this.#options
      worker.log.error(
        { agent, err: toError(thrown) },
        `The onError of agent "${agent}" failed itself; the worker stops.`,
      )
      return 'stop'
    }
  }
}

/** JavaScript names the property, and neither the table nor the key whose value it is of. */
function explained(thrown: unknown, delivery: Delivery): Error {
  const error = toError(thrown)
  if (!isChangeOfFrozen(error)) return error
  const reads = delivery.describeReads()
  if (reads.length === 0) return error
  return new MillraceError('VALUE_FROZEN', `${error.message}. The event has read ${reads.join(', ')}.`, {
    cause: error,
  })
}

async function pause(worker: WorkerContext): Promise<void> {
  try {
    await worker.clock.sleep(LAST_WORDS_MS, worker.signal)
  } catch {
    // The worker is stopping hard: there is nothing left to wait for.
  }
}

/** What the broker said may lack the stop. */
function asSentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
