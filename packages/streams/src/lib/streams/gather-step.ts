import type { Clock, Scheduled } from '@millrace/core'
import type { Delivery } from '../events/delivery.ts'
import type { Step, StepResult } from './step.ts'

interface Batch {
  readonly deliveries: Delivery[]
  timer: Scheduled | undefined
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

  constructor(options: GatherOptions) {
    this.#options = options
  }

  run(delivery: Delivery): StepResult {
    // A step before has caught that: its place is behind the event that has what it needs, not in a batch.
    if (delivery.isSetAside) {
      delivery.finish()
      return undefined
    }
    const group = delivery.batchGroup
    let batch = this.#batches.get(group)
    if (batch === undefined) {
      batch = this.#begin(group)
      this.#batches.set(group, batch)
    }
    batch.deliveries.push(delivery)
    if (batch.deliveries.length < this.#options.max && !delivery.isWanted) return undefined
    this.#batches.delete(group)
    return complete(batch)
  }

  /** Batches with an event that somebody waits for become due: filling up would take what that event holds up. */
  handOnWanted(): void {
    for (const [group, batch] of this.#batches)
      if (batch.deliveries.some((delivery) => delivery.isWanted)) this.#isDue(group, batch)
  }

  /** A batch that is handed out though it may not be full. */
  due(): Delivery | undefined {
    for (let batch = this.#due.shift(); batch !== undefined; batch = this.#due.shift()) {
      const first = complete(batch)
      if (first !== undefined) return first
    }
    return undefined
  }

  /** Gives back everything that was gathered and not yet handed on. */
  putBack(): void {
    for (const batch of [...this.#due.splice(0), ...this.#batches.values()]) {
      batch.timer?.cancel()
      // Each goes before all others of its feed: the first one last.
      for (const delivery of batch.deliveries.toReversed()) delivery.putBack()
    }
    this.#batches.clear()
  }

  #begin(group: object): Batch {
    const { clock, withinMs } = this.#options
    const batch: Batch = { deliveries: [], timer: undefined }
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
}

/** One event that stands for the batch; those whose task was lost meanwhile are left out. */
function complete(batch: Batch): Delivery | undefined {
  batch.timer?.cancel()
  const deliveries: Delivery[] = []
  for (const delivery of batch.deliveries) {
    if (delivery.open) deliveries.push(delivery)
    else delivery.putBack()
  }
  const [first, ...others] = deliveries
  if (first === undefined) return undefined
  const values = deliveries.map((delivery) => delivery.value)
  first.join(others)
  first.value = values
  first.changed = true
  return first
}
