import { isMillraceError } from '@millrace/core'
import type { ErrorHandling } from '../errors/error-handling.ts'
import type { Wakeup } from '../events/source.ts'
import { StreamEvent } from '../events/stream-event.ts'
import { beginTrace } from '../events/trace-headers.ts'
import { Batching } from './batching.ts'
import { type Leftover, Leftovers } from './leftovers.ts'
import { type Branch, ManyValues, type StreamStep, type StepResult } from './stream-step.ts'

export const EMPTY: unique symbol = Symbol('nothing to take')

/**
 * The result of `pull`: an event that has come through, nothing because it did not, or `EMPTY` if no event was
 * available.
 */
export type Pulled = StreamEvent | undefined | Promise<StreamEvent | undefined> | typeof EMPTY

/** Events of some sources and their steps. While no step has to wait, no promise is made. */
export class Pipeline {
  readonly #errors: ErrorHandling
  /** The wake-up of the reader that waits for events. */
  readonly #wakeup: Wakeup
  readonly #leftovers: Leftovers
  #branches: readonly Branch[]
  #batching: Batching
  #turn = 0

  constructor(errors: ErrorHandling, branches: readonly Branch[], wakeup: Wakeup) {
    this.#errors = errors
    this.#wakeup = wakeup
    this.#leftovers = new Leftovers(errors.context)
    this.#branches = branches
    this.#batching = new Batching(branches, wakeup)
  }

  /** The handler was restarted: from now on events go through its new steps. */
  replace(branches: readonly Branch[]): void {
    this.requeue()
    this.#leftovers.dropAll()
    this.#branches = branches
    this.#batching = new Batching(branches, this.#wakeup)
  }

  /** Takes an event and runs the steps over it. */
  pull(): Pulled {
    const due = this.#batching.isUsed ? this.#batching.due() : undefined
    if (due !== undefined) {
      this.#enter(due.event)
      return this.#advance(due.event, due.steps, due.next)
    }
    const leftover = this.#leftovers.innermost
    if (leftover !== undefined) return this.#takeFrom(leftover)
    const count = this.#branches.length
    for (let i = 0; i < count; i++) {
      const branch = this.#branches[this.#turn]
      this.#turn = this.#turn + 1 >= count ? 0 : this.#turn + 1
      const event = branch?.source.take()
      if (branch === undefined || event === undefined) continue
      this.#enter(event)
      return this.#advance(event, branch.steps, branch.source.branch === undefined ? -1 : 0)
    }
    return EMPTY
  }

  /** Nothing more will come. */
  get closed(): boolean {
    return this.#branches.every(({ source }) => source.closed)
  }

  /** Wakes once when an event may be available, or when no more come. */
  watch(): void {
    for (const { source } of this.#branches) if (!source.closed) source.watch(this.#wakeup)
  }

  /** Hands out batches of `take()` for whose end something waits. */
  handOnWanted(): void {
    this.#batching.handOnWanted()
  }

  /** Gives back what `take()` has collected. */
  requeue(): void {
    this.#batching.requeue()
  }

  /** Ends events to which `flatMap` has no further value to give. */
  endEmpty(): void {
    this.#leftovers.endEmpty()
  }

  /** The run is over. Settles events in flight: batches are given back, generators of `flatMap` may clean up. */
  close(): void {
    this.requeue()
    this.#leftovers.close()
  }

  /** Takes no more events; those on their way are given back. */
  end(): void {
    this.requeue()
    this.#leftovers.dropAll()
    for (const { source } of this.#branches) source.end?.()
  }

  /** The next value of an event to which `flatMap` has given several. */
  #takeFrom(leftover: Leftover): StreamEvent | undefined | Promise<StreamEvent | undefined> {
    const { event, steps, next } = leftover
    // The event was finished as a whole, given back or lost meanwhile.
    if (!event.open) {
      this.#leftovers.drop(leftover)
      return undefined
    }
    this.#enter(event)
    try {
      const value = this.#leftovers.next(leftover)
      if (value === undefined) return undefined
      return value instanceof StreamEvent
        ? this.#advance(value, steps, next)
        : this.#resume(value, event, { steps, next })
    } catch (error) {
      return this.#fail(event, error)
    }
  }

  /** Runs the steps from index `from` on; -1 decodes first. */
  #advance(
    event: StreamEvent,
    steps: readonly StreamStep[],
    from: number,
  ): StreamEvent | undefined | Promise<StreamEvent | undefined> {
    let at = from
    let current = event
    try {
      if (at < 0) {
        const { inFlight, origin } = current
        const end = origin.passOver(inFlight, current.event)
        if (end !== undefined) {
          current.finish(end)
          return undefined
        }
        const { tracing } = origin.context
        if (tracing !== undefined) beginTrace(current, tracing)
        const { refused } = inFlight
        // Decoding may be what has blocked the event loop.
        if (refused !== undefined && isMillraceError(refused, 'EVENT_BLOCKED')) return this.#fail(current, refused)
        if (!current.decode()) {
          current.finish('tombstones')
          return undefined
        }
        if (refused !== undefined) return this.#fail(current, refused)
        at = 0
      }
      for (; at < steps.length; at++) {
        const result = steps[at]?.run(current)
        if (result === undefined) return undefined
        if (result instanceof ManyValues) return this.#spread(result, steps, at + 1)
        if (!(result instanceof StreamEvent)) return this.#resume(result, current, { steps, next: at + 1 })
        if (result !== current) {
          current = result
          this.#enter(current)
        }
      }
      return current
    } catch (error) {
      return this.#fail(current, error)
    }
  }

  async #resume(
    result: Promise<StepResult>,
    event: StreamEvent,
    { steps, next }: { readonly steps: readonly StreamStep[]; readonly next: number },
  ): Promise<StreamEvent | undefined> {
    let current: StepResult
    try {
      current = await result
    } catch (error) {
      return await this.#fail(event, error)
    }
    if (current instanceof ManyValues) return this.#spread(current, steps, next)
    return current === undefined ? undefined : await this.#advance(current, steps, next)
  }

  #spread({ event, values }: ManyValues, steps: readonly StreamStep[], next: number): undefined {
    this.#leftovers.push({ event, values, steps, next })
    return undefined
  }

  async #fail(event: StreamEvent, error: unknown): Promise<undefined> {
    await this.#errors.settle(event, error)
    return undefined
  }

  #enter(event: StreamEvent): void {
    this.#errors.context.storage.enterWith(event)
  }
}
