import type { Clock, Scheduled } from '@millrace/core'
import type { Delivery } from '../events/delivery.ts'
import type { Branch } from './reader-host.ts'
import type { Step, StepResult } from './step.ts'
import type { Wakeup } from './wakeup.ts'

interface Batch {
  readonly entries: { readonly delivery: Delivery; readonly value: unknown }[]
  timer: Scheduled | undefined
  /** It began with what is left of an event that the batch before has ended in. */
  readonly isRest: boolean
}

export interface GatherOptions {
  readonly max: number
  /** From the first event of a batch; `undefined` waits for `max`. */
  readonly withinMs: number | undefined
  readonly clock: Clock
}

/** `take()`: gathers events into batches, apart for each task, because a batch finishes as one. */
export class GatherStep implements Step {
  readonly changesValue = true
  /** Called when a batch is due before it is full. */
  onDue: () => void = () => {}
  readonly #options: GatherOptions
  readonly #batches = new Map<object, Batch>()
  readonly #due: Batch[] = []
  /** Events that have values in a batch which has been handed on. */
  readonly #begun = new WeakSet<Delivery>()

  constructor(options: GatherOptions) {
    this.#options = options
  }

  run(delivery: Delivery): StepResult {
    // It was put back while a step before was waiting.
    if (delivery.over) return undefined
    // A step before has caught that: its place is behind the event that has what it needs, not in a batch.
    if (delivery.isSetAside) {
      delivery.finish()
      return undefined
    }
    const group = delivery.batchGroup
    let batch = this.#batches.get(group)
    if (batch === undefined) {
      batch = this.#begin(group, this.#begun.has(delivery))
      this.#batches.set(group, batch)
    }
    batch.entries.push({ delivery, value: delivery.value })
    if (batch.entries.length < this.#options.max && !delivery.isWanted) return undefined
    this.#batches.delete(group)
    return this.#complete(batch)
  }

  /**
   * An event has given all its values. What is left of one that is in two batches makes a batch by itself: others would
   * share the fate of both, and those after them that of all.
   */
  allGiven(delivery: Delivery): void {
    const group = delivery.batchGroup
    const batch = this.#batches.get(group)
    if (batch?.isRest === true) this.#isDue(group, batch)
  }

  /** Batches with an event that somebody waits for become due: filling up would take what that event holds up. */
  handOnWanted(): void {
    for (const [group, batch] of this.#batches)
      if (batch.entries.some(({ delivery }) => delivery.isWanted)) this.#isDue(group, batch)
  }

  /** A batch that is handed out though it may not be full. */
  due(): Delivery | undefined {
    for (let batch = this.#due.shift(); batch !== undefined; batch = this.#due.shift()) {
      const first = this.#complete(batch)
      if (first !== undefined) return first
    }
    return undefined
  }

  /** Gives back everything that was gathered and not yet handed on. */
  putBack(): void {
    for (const batch of [...this.#due.splice(0), ...this.#batches.values()]) {
      batch.timer?.cancel()
      // Each goes before all others of its feed: the first one last.
      for (const { delivery } of batch.entries.toReversed()) delivery.putBack()
    }
    this.#batches.clear()
  }

  #begin(group: object, isRest: boolean): Batch {
    const { clock, withinMs } = this.#options
    const batch: Batch = { entries: [], timer: undefined, isRest }
    if (withinMs === undefined) return batch
    batch.timer = clock.schedule(withinMs, () => this.#isDue(group, batch))
    return batch
  }

  #isDue(group: object, batch: Batch): void {
    batch.timer?.cancel()
    this.#batches.delete(group)
    this.#due.push(batch)
    this.onDue()
  }

  /** One event that stands for the batch; those whose task was lost meanwhile are left out. */
  #complete(batch: Batch): Delivery | undefined {
    batch.timer?.cancel()
    const members = new Set<Delivery>()
    const values: unknown[] = []
    for (const { delivery, value } of batch.entries) {
      if (!delivery.open) {
        delivery.putBack()
        continue
      }
      values.push(value)
      members.add(delivery.first)
      if (delivery.isPartial) this.#begun.add(delivery)
    }
    const [first, ...others] = members
    if (first === undefined) return undefined
    first.join(others, values.length)
    first.value = values
    first.changed = true
    return first
  }
}

/** One `take()` of a reader, and where its batches go on. */
interface Gather {
  readonly step: GatherStep
  readonly branch: Branch
  /** Index of the step behind it. */
  readonly next: number
}

interface DueBatch {
  readonly delivery: Delivery
  readonly steps: readonly Step[]
  /** Index of the step that it goes to. */
  readonly next: number
}

/** Every `take()` that a reader's events go through. */
export class Gathers {
  readonly all: readonly Gather[]

  constructor(branches: readonly Branch[], wakeup: Wakeup) {
    const gathers = new Map<GatherStep, Gather>()
    for (const branch of branches) {
      branch.steps.forEach((step, index) => {
        if (!(step instanceof GatherStep)) return
        gathers.set(step, { step, branch, next: index + 1 })
        step.onDue = () => wakeup.wake()
      })
    }
    this.all = [...gathers.values()]
    if (this.all.length === 0) return
    for (const { inlet } of branches) {
      inlet.onDrain = () => this.putBack()
      inlet.onWanted = () => this.handOnWanted()
    }
  }

  /** A batch that waits for no more events, and where it goes on. */
  due(): DueBatch | undefined {
    for (const { step, branch, next } of this.all) {
      const delivery = step.due()
      if (delivery !== undefined) return { delivery, steps: branch.steps, next }
    }
    return undefined
  }

  /** Gives back what was gathered. */
  putBack(): void {
    for (const { step } of this.all) step.putBack()
  }

  /** Batches that somebody waits for become due. */
  handOnWanted(): void {
    for (const { step } of this.all) step.handOnWanted()
  }
}
