import { deferred, errorText, isMillraceError, MillraceError, type Scheduled, toError } from '@millrace/core'
import { AgentScope } from '../events/agent-scope.ts'
import type { Delivery } from '../events/delivery.ts'
import { EventReader } from '../streams/event-reader.ts'
import type { Branch, ReaderHost } from '../streams/reader-host.ts'
import type { AgentShape } from './agent.ts'
import { isPromiseLike } from '../streams/step.ts'
import { HandlerRun, type RunHost } from './handler-run.ts'

/** Restarts of a handler that fails with no event in hand. */
const RESTARTS = 5
/** A handler that has not begun to read its stream by then is told of. */
const SILENT_MS = 30_000

export interface InstanceOptions {
  readonly shape: AgentShape<never, never>
  /** All that a run needs but what is kept here. */
  readonly host: Omit<RunHost, 'pump' | 'begun'>
  /** The handler has not begun to read its stream for so long. */
  readonly onSilent: (silentMs: number) => void
  /** True while something may still come. */
  readonly stillOpen: () => boolean
}

/** One of the instances of an agent on a worker: runs the handler, and again when it fails. */
export class AgentInstance {
  readonly #shape: AgentShape<never, never>
  readonly #host: RunHost
  readonly #stillOpen: () => boolean
  readonly #pumps = new Map<string, EventReader>()
  readonly #pumping: Promise<void>[] = []
  readonly #onSilent: (silentMs: number) => void
  /** The end of the handler need not be waited for: it reads nothing, and what it waits for is its own affair. */
  readonly #leftAlone = deferred<void>()
  #silence: Scheduled | undefined
  #begun = false
  #stopping = false
  #fruitless = 0

  constructor({ shape, host, stillOpen, onSilent }: InstanceOptions) {
    this.#shape = shape
    this.#stillOpen = stillOpen
    this.#onSilent = onSilent
    this.#host = { ...host, pump: (id, branches) => this.#pump(id, branches), begun: () => this.#reads() }
  }

  /** Nothing more will come: a handler that has not begun to read until now is not waited for. */
  stop(): void {
    this.#stopping = true
    this.#silence?.cancel()
    if (!this.#begun) this.#leftAlone.resolve()
  }

  /** Calls the handler before it returns; resolves when the handler has ended for good, or is left alone. */
  async run(): Promise<void> {
    await Promise.race([this.#runs(), this.#leftAlone.promise])
    await Promise.all(this.#pumping)
  }

  async #runs(): Promise<void> {
    for (;;) {
      this.#expectLoop()
      const run = new HandlerRun(this.#host)
      try {
        await this.#handle(run)
      } catch (thrown) {
        if (await this.#again(run, thrown)) continue
        break
      }
      this.#returned(run)
      break
    }
    this.#silence?.cancel()
    for (const reader of this.#pumps.values()) reader.wakeup.wake()
  }

  /** Outside the handler's scope: it is not the agent that waits for this timer. */
  #expectLoop(): void {
    const { storage, worker } = this.#host
    this.#silence?.cancel()
    this.#begun = false
    if (this.#stopping) return
    this.#silence = storage.exit(() => worker.clock.schedule(SILENT_MS, () => this.#onSilent(SILENT_MS)))
  }

  #reads(): void {
    this.#begun = true
    this.#silence?.cancel()
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

  /** Resumes the generator in the scope of the event that it is at, so that it goes on as a loop without yields would. */
  async #drive(values: AsyncGenerator<unknown, void, undefined>, run: HandlerRun): Promise<void> {
    const { storage } = this.#host
    for (;;) {
      const next = await storage.run(run.scope, () => values.next())
      if (next.done === true) return
      try {
        const sent = storage.run(run.scope, () => this.#emit(next.value, run.scope))
        if (sent !== undefined) await sent
      } catch (error) {
        // Lets the generator clean up; what it yields meanwhile has no place to go.
        await storage.run(run.scope, () => values.return())
        throw error
      }
    }
  }

  #emit(value: unknown, scope: AgentScope): undefined | Promise<unknown> {
    const { delivery } = scope
    const { name, sinks } = this.#shape
    if (delivery === undefined || !delivery.open)
      throw new MillraceError('NO_CURRENT_EVENT', `Agent "${name}" yields a value with no event in hand.`)
    delivery.reply(value)
    if (sinks.length === 0) return undefined
    return Promise.all(sinks.map((sink) => sink(value, delivery)))
  }

  #returned(run: HandlerRun): void {
    run.end()
    const inHand = run.settleAll(undefined)
    inHand?.putBack()
    const { road } = this.#host
    if (road.stopped || !this.#stillOpen()) return
    road.stop(
      new MillraceError(
        'AGENT_RETURNED',
        `The handler of agent "${this.#shape.name}" returned, but more events may come.`,
      ),
    )
  }

  /** Whether the handler is started again. */
  async #again(run: HandlerRun, thrown: unknown): Promise<boolean> {
    const { road, worker } = this.#host
    const culprit = run.settleAll(thrown)
    if (road.stopped || (this.#stopping && !this.#begun)) {
      culprit?.putBack()
      return false
    }
    if (culprit !== undefined) {
      this.#fruitless = 0
      await road.settle(culprit, thrown)
      return !road.stopped
    }
    const error = toError(thrown)
    const { name } = this.#shape
    road.report(error)
    if (
      isMillraceError(error, 'DEFINITION_INVALID', 'TOPOLOGY_LATE', 'DURATION_INVALID', 'CODEC_UNKNOWN', 'NAME_INVALID')
    ) {
      road.stop(error)
      return false
    }
    if (++this.#fruitless > RESTARTS) {
      road.stop(
        new MillraceError(
          'AGENT_FAILED',
          `Agent "${name}" failed ${RESTARTS + 1} times with no event in hand: ${errorText(error)}`,
          { cause: error },
        ),
      )
      return false
    }
    const delayMs = road.backoffMs(this.#fruitless - 1)
    worker.log.error(
      { agent: name, err: error },
      `Agent "${name}" failed with no event in hand; it is started again in ${Math.round(delayMs)} ms.`,
    )
    try {
      await worker.clock.sleep(delayMs, worker.signal)
      return true
    } catch {
      // Only an abort ends the sleep early, and it ends the instance.
      return false
    }
  }

  #pump(id: string, branches: readonly Branch[]): void {
    const running = this.#pumps.get(id)
    if (running !== undefined) return running.replace(branches)
    const reader = new EventReader(this.#pumpHost(), branches)
    this.#pumps.set(id, reader)
    const { storage, worker, agent, road } = this.#host
    const pumping = storage.run(new AgentScope(worker, agent, undefined), async () => {
      // Its last step drops every event: it resolves at the end only.
      await reader.next()
    })
    this.#pumping.push(pumping.catch((thrown: unknown) => road.stop(toError(thrown))))
  }

  #pumpHost(): ReaderHost {
    const { storage, worker, agent, road } = this.#host
    return {
      storage,
      worker,
      agent,
      get over() {
        return road.stopped
      },
      times: undefined,
      turns: undefined,
      entered: () => {},
      asked: () => {},
      loosed: (delivery: Delivery) => delivery.putBack(),
      failed: (delivery, error) => road.settle(delivery, error),
    }
  }
}

function isAsyncGenerator(result: object | undefined): result is AsyncGenerator<unknown, void, undefined> {
  return typeof result === 'object' && Symbol.asyncIterator in result && 'next' in result && 'return' in result
}

/** What a handler gave that is no promise: types forbid it, JavaScript does not. */
function describe(result: unknown): string {
  if (typeof result !== 'object' || result === null) return String(result)
  return Symbol.iterator in result && 'next' in result ? 'a generator that is not async' : 'an object'
}
