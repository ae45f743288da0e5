import { deferred, errorText, isMillraceError, MillraceError, toError } from '@millrace/core'
import type { ProcessingContext } from '@millrace/worker'
import type { ErrorHandling } from '../errors/error-handling.ts'
import { BetweenEvents, currentEvent } from '../events/between-events.ts'
import type { AgentSources } from '../streams/agent-sources.ts'
import { HandlerRun } from '../streams/handler-run.ts'
import type { HandlerInstance } from '../streams/handler-steps.ts'
import { isPromiseLike } from '../streams/stream-step.ts'
import { StepsToTopics } from '../streams/steps-to-topics.ts'
import type { AgentShape } from './agent.ts'

/** Restarts of a handler that fails with no current event. */
const RESTARTS = 5
/** A handler that has not started to read its stream by then is reported. */
const SILENT_MS = 30_000

/** Shared by the instances of an agent, so that silence is reported once. */
export interface SilenceReport {
  isMade: boolean
}

export interface AgentInstanceOptions {
  readonly shape: AgentShape<never, never>
  readonly errors: ErrorHandling
  readonly sources: AgentSources
  readonly silence: SilenceReport
}

/** One instance of an agent on a worker: runs the handler and restarts it after a failure. */
export class AgentInstance implements HandlerInstance {
  readonly index: number
  readonly errors: ErrorHandling
  readonly sources: AgentSources
  readonly stepsToTopics: StepsToTopics
  readonly #shape: AgentShape<never, never>
  readonly #silence: SilenceReport
  /** True if the handler has read nothing, so that a stop need not wait for it. */
  readonly #leftAlone = deferred<void>()
  #run: HandlerRun | undefined
  #stopping = false
  /** Consecutive failures without an event. */
  #fruitless = 0

  constructor({ shape, errors, sources, silence }: AgentInstanceOptions, index: number) {
    this.index = index
    this.errors = errors
    this.sources = sources
    this.stepsToTopics = new StepsToTopics(errors)
    this.#shape = shape
    this.#silence = silence
  }

  /** Ends the input. A stop does not wait for a handler that has not started to read. */
  stop(): void {
    this.#stopping = true
    this.#run?.silence?.cancel()
    if (this.#run?.hasBegun !== true) this.#leftAlone.resolve()
  }

  /** Calls the handler synchronously; resolves when the handler has ended permanently or is abandoned. */
  async run(): Promise<void> {
    const { context } = this.errors
    await context.storage.run(new BetweenEvents(context), () => Promise.race([this.#runs(), this.#leftAlone.promise]))
    await this.stepsToTopics.ended()
  }

  async #runs(): Promise<void> {
    for (;;) {
      const run = new HandlerRun(this)
      this.#run = run
      this.#expectLoop(run)
      try {
        await Promise.race([this.#handle(run), run.loops.timedOut])
      } catch (thrown) {
        if (await this.#again(run, thrown)) continue
        break
      }
      this.#returned(run)
      break
    }
    this.#run.silence?.cancel()
    this.stepsToTopics.wake()
  }

  /** Runs outside the handler's context, because this timer does not belong to the agent. */
  #expectLoop(run: HandlerRun): void {
    const { storage, worker } = this.errors.context
    if (this.#stopping) return
    run.silence = storage.exit(() => worker.clock.schedule(SILENT_MS, () => this.#reportSilence()))
  }

  /** Once per agent. Otherwise nobody would notice, because its events look like any other waiting events. */
  #reportSilence(): void {
    const { worker, agent } = this.errors.context
    if (this.#silence.isMade) return
    this.#silence.isMade = true
    worker.log.warn(
      { agent },
      `Agent "${agent}" has not begun to read its stream, ${SILENT_MS / 1000} s after its handler was called: its events wait until the handler does. What does it await?`,
    )
  }

  async #handle(run: HandlerRun): Promise<void> {
    const result = this.#shape.start(run)
    if (isAsyncGenerator(result)) return await this.#drive(result, run)
    if (isPromiseLike(result)) return await result
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The handler of agent "${this.#shape.name}" gave ${describe(result)} instead of waiting for events: make it an async function, as in async (stream) => { for await (const value of stream) … }, or an async generator.`,
    )
  }

  /** Resumes the generator in the context of its current event, as a loop without yields would continue. */
  async #drive(values: AsyncGenerator<unknown, void, undefined>, { loops }: HandlerRun): Promise<void> {
    const { storage } = this.errors.context
    for (;;) {
      const next = await storage.run(loops.current, () => values.next())
      if (next.done === true) return
      try {
        const sent = storage.run(loops.current, () => this.#emit(next.value, loops.current))
        if (sent !== undefined) await sent
      } catch (error) {
        // Lets the generator clean up; values that it yields meanwhile are dropped.
        await storage.run(loops.current, () => values.return())
        throw error
      }
    }
  }

  #emit(value: unknown, work: ProcessingContext): undefined | Promise<unknown> {
    const event = currentEvent(work)
    const { name, sinks } = this.#shape
    if (event === undefined || !event.open)
      throw new MillraceError('NO_CURRENT_EVENT', `Agent "${name}" yields a value with no current event.`)
    event.replies?.yielded(value)
    if (sinks.length === 0) return undefined
    return Promise.all(sinks.map((sink) => sink(value, event)))
  }

  #returned(run: HandlerRun): void {
    run.settleAll(undefined)?.requeue()
    if (this.errors.stopped || !this.sources.isOpen(this.index)) return
    this.errors.stop(
      new MillraceError(
        'AGENT_RETURNED',
        `The handler of agent "${this.#shape.name}" returned, but more events may come.`,
      ),
    )
  }

  /** Whether the handler is started again. */
  async #again(run: HandlerRun, thrown: unknown): Promise<boolean> {
    const { errors } = this
    const { worker } = errors.context
    const failed = run.settleAll(thrown)
    if (errors.stopped || (this.#stopping && !run.hasBegun)) {
      failed?.requeue()
      return false
    }
    if (failed !== undefined) {
      this.#fruitless = 0
      await errors.settle(failed, thrown)
      return !errors.stopped
    }
    const error = toError(thrown)
    const { name } = this.#shape
    errors.report(error)
    if (
      isMillraceError(
        error,
        'DEFINITION_INVALID',
        'RETRY_INVALID',
        'TOPOLOGY_LATE',
        'DURATION_INVALID',
        'CODEC_UNKNOWN',
        'NAME_INVALID',
      )
    ) {
      errors.stop(error)
      return false
    }
    if (++this.#fruitless > RESTARTS) {
      errors.stop(
        new MillraceError(
          'AGENT_FAILED',
          `Agent "${name}" failed ${RESTARTS + 1} times with no current event: ${errorText(error)}`,
          { cause: error },
        ),
      )
      return false
    }
    const delayMs = errors.backoffMs(this.#fruitless - 1)
    worker.log.error(
      { agent: name, err: error },
      `Agent "${name}" failed with no current event; it is started again in ${Math.round(delayMs)} ms.`,
    )
    try {
      await worker.clock.sleep(delayMs, worker.signal)
      return true
    } catch {
      // Only an abort ends the sleep early, and it ends the instance.
      return false
    }
  }
}

function isAsyncGenerator(result: object | undefined): result is AsyncGenerator<unknown, void, undefined> {
  return typeof result === 'object' && Symbol.asyncIterator in result && 'next' in result && 'return' in result
}

/** A return value that is not a promise: types forbid it, JavaScript does not. */
function describe(result: unknown): string {
  if (typeof result !== 'object' || result === null) return String(result)
  return Symbol.iterator in result && 'next' in result ? 'a generator that is not async' : 'an object'
}
