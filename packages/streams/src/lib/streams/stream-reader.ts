import type { ProcessingContext } from '@millrace/worker'
import type { ErrorHandling } from '../errors/error-handling.ts'
import { BetweenEvents } from '../events/between-events.ts'
import type { Timing } from '../events/handling-times.ts'
import type { RateLimit } from '../events/rate-limit.ts'
import { Wakeup } from '../events/source.ts'
import { StreamEvent } from '../events/stream-event.ts'
import type { Loops, LoopTurns } from './loops.ts'
import { EMPTY, Pipeline, type Pulled } from './pipeline.ts'
import type { Branch } from './stream-step.ts'

export interface StreamReaderOptions {
  readonly errors: ErrorHandling
  readonly branches: readonly Branch[]
  /** The run for which it reads; `undefined` for steps that continue between runs. */
  readonly run: Loops | undefined
  /**
   * Whether it is a loop of the handler: the handler's code runs in the context of its events, and it takes turns with
   * other loops.
   */
  readonly isLoop: boolean
}

/** Hands out the events that come through the steps. Asking for the next event finishes the one before. */
export class StreamReader {
  /** The wake-up for events and for its turn. */
  readonly wakeup: Wakeup = new Wakeup()
  readonly pipeline: Pipeline
  readonly #errors: ErrorHandling
  readonly #run: Loops | undefined
  /** The run, for a loop of the handler's. */
  readonly #loops: Loops | undefined
  readonly #turns: LoopTurns | undefined
  readonly #rate: RateLimit | undefined
  #current: StreamEvent | undefined
  #timing: Timing | undefined
  #waiting: Promise<StreamEvent | undefined> | undefined

  constructor({ errors, branches, run, isLoop }: StreamReaderOptions) {
    this.#errors = errors
    this.#run = run
    this.#loops = isLoop ? run : undefined
    this.#turns = this.#loops?.turns
    this.#rate = isLoop ? errors.context.rate : undefined
    this.pipeline = new Pipeline(errors, branches, this.wakeup)
  }

  /** The event that was handed out last, until the next one is asked for. */
  get current(): StreamEvent | undefined {
    return this.#current
  }

  /** The handler was restarted: from now on events go through its new steps. */
  replace(branches: readonly Branch[]): void {
    this.pipeline.replace(branches)
    // It may wait for branches from which no more events come.
    this.wakeup.wake()
  }

  /** The run is over. Settles events in flight. */
  close(): void {
    this.pipeline.close()
    this.#endTiming()
  }

  /**
   * The user has left the loop. The event stays in flight, because it is unknown here whether by a `break` or an error.
   * An event with more values to give is partial from then on.
   */
  leave(): void {
    this.pipeline.endEmpty()
    const current = this.#current
    this.#current = undefined
    this.#endTiming()
    if (current === undefined) this.#turns?.end(this.wakeup)
    else this.#loops?.leave(current, this.wakeup)
  }

  /** The next event, `undefined` at the end, or a promise of either if it has to wait. */
  next(): StreamEvent | undefined | Promise<StreamEvent | undefined> {
    if (this.#waiting !== undefined) return this.#waiting.then(() => this.next())
    this.#loops?.asked()
    const current = this.#current
    if (current !== undefined) {
      this.#current = undefined
      if (this.#timing !== undefined) this.#timed(this.#timing, current)
      this.#loops?.timeouts?.end(current)
      current.done()
    }
    this.#turns?.end(this.wakeup)
    for (;;) {
      const pulled = this.#isOver || !this.#mayPull() ? EMPTY : this.pipeline.pull()
      if (pulled === undefined) continue
      if (pulled instanceof StreamEvent) return this.#handOut(pulled)
      const isEnd = pulled === EMPTY && (this.#isOver || this.pipeline.closed)
      const between = new BetweenEvents(this.#errors.context)
      if (isEnd) this.#end()
      else this.#waiting = this.#wait(pulled, between)
      this.#enter(between)
      return this.#waiting
    }
  }

  get #isOver(): boolean {
    return this.#run === undefined ? this.#errors.stopped : this.#run.over
  }

  /** Not while another loop has the turn, nor faster than the agent may go. */
  #mayPull(): boolean {
    return this.#rate?.isOpen !== false && this.#turns?.take(this.wakeup) !== false
  }

  async #wait(first: Pulled, between: BetweenEvents): Promise<StreamEvent | undefined> {
    try {
      let pulled = first
      for (;;) {
        if (pulled === EMPTY) {
          if (this.pipeline.closed) return this.#end()
          this.#turns?.end(this.wakeup)
          await this.#untilReady()
        } else if (pulled !== undefined) {
          const event = await pulled
          if (event !== undefined) return this.#receive(event, between)
        }
        if (this.#isOver) return this.#end()
        pulled = this.#mayPull() ? this.pipeline.pull() : EMPTY
      }
    } finally {
      this.#waiting = undefined
    }
  }

  /** The caller has waited for the event, and already runs in `between`. */
  #receive(event: StreamEvent, between: BetweenEvents): StreamEvent | undefined {
    if (this.#isOver) {
      event.requeue()
      return undefined
    }
    if (event.manual) this.#handOutLoose(event)
    else {
      between.received = event
      this.#hold(event, between)
    }
    return event
  }

  #handOut(event: StreamEvent): StreamEvent {
    if (!event.manual) {
      this.#hold(event, event)
      return event
    }
    this.#handOutLoose(event)
    this.#enter(new BetweenEvents(this.#errors.context))
    return event
  }

  #handOutLoose(event: StreamEvent): void {
    if (this.#loops === undefined) return event.requeue()
    this.#loops.addLoose(event)
    this.#rate?.count(event.members.length)
  }

  #hold(event: StreamEvent, work: ProcessingContext): void {
    this.#current = event
    if (this.#loops === undefined) return
    this.#loops.current = work
    this.#loops.timeouts?.begin(event)
    this.#rate?.count(event.members.length)
    const { times, worker } = this.#errors.context
    if (times.due()) this.#timing = times.begin(worker.clock.monotonic())
  }

  /** The caller continues in this context: without an event, or until its event has come. */
  #enter(between: BetweenEvents): void {
    this.#errors.context.storage.enterWith(between)
    if (this.#loops !== undefined) this.#loops.current = between
  }

  #timed(timing: Timing, { timestamp }: StreamEvent): void {
    const { times, worker } = this.#errors.context
    this.#timing = undefined
    times.end(timing, worker.clock.monotonic(), worker.clock.now() - timestamp)
  }

  /** A timed event is not finished by asking for the next one. */
  #endTiming(): void {
    if (this.#timing === undefined) return
    this.#errors.context.times.drop(this.#timing)
    this.#timing = undefined
  }

  #end(): undefined {
    this.pipeline.end()
    this.#turns?.end(this.wakeup)
    return undefined
  }

  async #untilReady(): Promise<void> {
    // The loop is woken when it gets the turn; before that, events of its sources are of no use.
    if (this.#rate?.isOpen === false) this.#rate.watch(this.wakeup)
    else if (this.#turns?.isWaiting(this.wakeup) !== true) this.pipeline.watch()
    await this.wakeup.wait()
  }
}
