import { toError } from '@millrace/core'
import { GatherStep } from './gather-step.ts'
import type { ReaderHost } from './reader-host.ts'
import { isPromiseLike, type Spread, type Step } from './step.ts'

/** An event of which `flatMap` still gives values, and the steps that those go through. */
export interface Rest extends Spread {
  readonly steps: readonly Step[]
  readonly next: number
}

/** What `flatMap` still has to give, the innermost last: all its values come before anything else is taken. */
export class Rests {
  /** Looked at before each event: no getter, which would be a call there. */
  innermost: Rest | undefined = undefined
  readonly #rests: Rest[] = []
  readonly #host: ReaderHost

  constructor(host: ReaderHost) {
    this.#host = host
  }

  push(rest: Rest): void {
    this.#rests.push(rest)
    this.innermost = rest
  }

  /** Takes its next value: false when there is none, and it is then ended. */
  next(rest: Rest): boolean | Promise<boolean> {
    const given = rest.values.next()
    if (!('then' in given)) return this.#received(rest, given)
    // The run may have ended meanwhile, or its task is lost; the latter is found out when the next is taken.
    return given.then((given) => this.#rests.includes(rest) && rest.delivery.open && this.#received(rest, given))
  }

  #received(rest: Rest, { done, value }: IteratorResult<unknown>): boolean {
    if (done === true) this.end(rest)
    else rest.delivery.addValue(value)
    return done !== true
  }

  /** It has given all its values. */
  end(rest: Rest): void {
    const { delivery, steps, next } = rest
    this.#remove(rest)
    for (let at = next; at < steps.length; at++) {
      const step = steps[at]
      if (step instanceof GatherStep) step.allGiven(delivery)
    }
    delivery.allGiven()
  }

  /** What is left of it is of no use any more. */
  drop(rest: Rest): void {
    this.#remove(rest)
    this.#close(rest)
    rest.delivery.putBack()
  }

  /** Events with values to give are given back as they came. */
  dropAll(): void {
    for (const rest of this.#rests.toReversed()) this.drop(rest)
  }

  /** Ends those that have no further value; the others are not read on, nor those that would have to be waited for. */
  endEmpty(): void {
    for (let rest = this.innermost; rest !== undefined; rest = this.innermost) {
      const { values } = rest
      if (Symbol.asyncIterator in values) return
      const given = values.next()
      if ('then' in given || given.done !== true) return
      this.end(rest)
    }
  }

  /** Nothing more is taken of them: their generators may clean up. */
  close(): void {
    for (const rest of this.#rests.toReversed()) this.#close(rest)
  }

  #close({ values }: Rest): void {
    const { worker, agent } = this.#host
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

  #remove(rest: Rest): void {
    const at = this.#rests.indexOf(rest)
    if (at >= 0) this.#rests.splice(at, 1)
    this.innermost = this.#rests.at(-1)
  }
}
