import { toError } from '@millrace/core'
import type { AgentContext } from '../events/agent-context.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import { TakeStep } from './batching.ts'
import { isPromiseLike, type ManyValues, type StreamStep } from './stream-step.ts'

/** An event to which `flatMap` still gives values, with the steps for those. */
export interface Leftover extends ManyValues {
  readonly steps: readonly StreamStep[]
  readonly next: number
}

/** The remaining values of `flatMap`, the innermost last: all of them come before anything else is taken. */
export class Leftovers {
  /** Read before each event: not a getter, which would be a call there. */
  innermost: Leftover | undefined = undefined
  readonly #all: Leftover[] = []
  readonly #context: AgentContext

  constructor(context: AgentContext) {
    this.#context = context
  }

  push(leftover: Leftover): void {
    this.#all.push(leftover)
    this.innermost = leftover
  }

  /** The next value, as an event; `undefined` if there is none, and the leftover is then ended. */
  next(leftover: Leftover): StreamEvent | undefined | Promise<StreamEvent | undefined> {
    const given = leftover.values.next()
    if (!('then' in given)) return this.#received(leftover, given)
    // The run may have ended meanwhile, or the task is lost; the latter is noticed when the next value is taken.
    return given.then((given) =>
      this.#all.includes(leftover) && leftover.event.open ? this.#received(leftover, given) : undefined,
    )
  }

  #received(leftover: Leftover, { done, value }: IteratorResult<unknown>): StreamEvent | undefined {
    if (done !== true) return leftover.event.withValue(value)
    this.end(leftover)
    return undefined
  }

  /** All its values were given. */
  end(leftover: Leftover): void {
    const { event, steps, next } = leftover
    this.#remove(leftover)
    for (let at = next; at < steps.length; at++) {
      const step = steps[at]
      if (step instanceof TakeStep) step.allGiven(event)
    }
    event.done()
  }

  /** Its values are no longer wanted. */
  drop(leftover: Leftover): void {
    this.#remove(leftover)
    this.#close(leftover)
    leftover.event.requeue()
  }

  /** Gives back the original events that have values left. */
  dropAll(): void {
    for (const leftover of this.#all.toReversed()) this.drop(leftover)
  }

  /** Ends those without a further value; the others are not read further, nor are those that would need a wait. */
  endEmpty(): void {
    for (let leftover = this.innermost; leftover !== undefined; leftover = this.innermost) {
      const { values } = leftover
      if (Symbol.asyncIterator in values) return
      const given = values.next()
      if ('then' in given || given.done !== true) return
      this.end(leftover)
    }
  }

  /** Nothing more is taken from them: their generators may clean up. */
  close(): void {
    for (const leftover of this.#all.toReversed()) this.#close(leftover)
  }

  #close({ values }: Leftover): void {
    const { worker, agent } = this.#context
    const failed = (thrown: unknown): void => {
      const error = toError(thrown)
      worker.sensor.errorRaised({ source: agent, error })
      worker.log.error({ agent, err: error }, `A generator of flatMap() in agent "${agent}" failed when it was closed.`)
    }
    try {
      const closed = values.return?.()
      if (isPromiseLike(closed)) Promise.resolve(closed).catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  #remove(leftover: Leftover): void {
    const at = this.#all.indexOf(leftover)
    if (at >= 0) this.#all.splice(at, 1)
    this.innermost = this.#all.at(-1)
  }
}
