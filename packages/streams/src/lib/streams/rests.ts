import { GatherStep } from './gather-step.ts'
import type { Spread, Step } from './step.ts'

/** An event of which `flatMap` still gives values, and the steps that those go through. */
export interface Rest extends Spread {
  readonly steps: readonly Step[]
  readonly next: number
}

/** What `flatMap` still has to give, the innermost last: all its values come before anything else is taken. */
export class Rests {
  readonly #rests: Rest[] = []

  get innermost(): Rest | undefined {
    return this.#rests.at(-1)
  }

  push(rest: Rest): void {
    this.#rests.push(rest)
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
    rest.values.return?.()
    rest.delivery.putBack()
  }

  /** Events with values to give are given back as they came. */
  dropAll(): void {
    for (const rest of this.#rests.toReversed()) this.drop(rest)
  }

  /** Ends those that have no further value; the others are not read on. */
  endEmpty(): void {
    for (let rest = this.innermost; rest?.values.next().done === true; rest = this.innermost) this.end(rest)
  }

  #remove(rest: Rest): void {
    this.#rests.splice(this.#rests.indexOf(rest), 1)
  }
}
