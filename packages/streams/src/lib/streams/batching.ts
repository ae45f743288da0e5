import {
  checkOptions,
  type Clock,
  MillraceError,
  type OptionNames,
  parseDuration,
  type Scheduled,
} from '@millrace/core'
import type { AgentContext } from '../events/agent-context.ts'
import type { InFlight } from '../events/in-flight.ts'
import type { Wakeup } from '../events/source.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import { cannotWait } from '../errors/retry-plan.ts'
import type { TakeOptions } from './stream-options.ts'
import type { Branch, StreamStep, StepResult } from './stream-step.ts'

const LARGEST_BATCH = 10_000
const TAKE_OPTIONS: OptionNames<TakeOptions> = { within: true }

interface GrowingBatch {
  readonly entries: { readonly event: StreamEvent; readonly value: unknown }[]
  timer: Scheduled | undefined
  /** Whether it began with the rest of an event whose first values are in the batch before. */
  readonly isRest: boolean
}

export interface TakeStepOptions {
  readonly max: number
  /** The time from the first event of a batch; `undefined` waits for `max`. */
  readonly withinMs: number | undefined
  readonly clock: Clock
}

/** The step of `take(max, options)`. Throws if the arguments are invalid. */
export function takeStep(
  { agent, retry, worker: { clock } }: Pick<AgentContext, 'agent' | 'retry' | 'worker'>,
  branches: readonly Branch[],
  max: number,
  options: TakeOptions,
): TakeStep {
  checkOptions(`take() of agent "${agent}"`, options, TAKE_OPTIONS)
  const { within } = options
  if (retry !== undefined)
    throw cannotWait(agent, 'calls take(): a batch fails as a whole, and cannot wait for one of its events.')
  if (!Number.isSafeInteger(max) || max < 1 || max > LARGEST_BATCH)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${agent}" calls take(${max}); from 1 to ${LARGEST_BATCH} are possible.`,
    )
  if (branches.some(({ source }) => source.branch?.spreads))
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${agent}" calls flatMap(), then branch(), then take(): the values of one event would be in batches of several branches. Call flatMap() behind branch(), or take() before it.`,
    )
  const withinMs = within === undefined ? undefined : parseDuration(within, `take() of agent "${agent}"`)
  return new TakeStep({ max, withinMs, clock })
}

/** `take()`: collects events in batches, those of each task separately, because a batch finishes as one. */
export class TakeStep implements StreamStep {
  readonly changesValue = true
  /** Called when a batch is due before it is full. */
  onDue: () => void = () => {}
  readonly #options: TakeStepOptions
  readonly #batches = new Map<object, GrowingBatch>()
  readonly #due: GrowingBatch[] = []
  /** Records of which some values are in a batch that was handed on. */
  readonly #begun = new WeakSet<InFlight>()

  constructor(options: TakeStepOptions) {
    this.#options = options
  }

  run(event: StreamEvent): StepResult {
    // The event was put back while an earlier step was waiting.
    if (event.over) return undefined
    // An earlier step has caught the conflict: the event is deferred until the one that holds its key is done, and
    // joins no batch.
    if (event.inFlight.isDeferred) {
      event.finish()
      return undefined
    }
    const group = event.inFlight.task
    let batch = this.#batches.get(group)
    if (batch === undefined) {
      batch = this.#begin(group, this.#begun.has(event.inFlight))
      this.#batches.set(group, batch)
    }
    batch.entries.push({ event, value: event.current })
    if (batch.entries.length < this.#options.max && !event.inFlight.isWanted) return undefined
    this.#batches.delete(group)
    return this.#complete(batch)
  }

  /**
   * An event has given all its values. The rest of one that is in two batches makes a batch by itself: other events in
   * that batch would otherwise end with both batches, and later ones with all of them.
   */
  allGiven(event: StreamEvent): void {
    const group = event.inFlight.task
    const batch = this.#batches.get(group)
    if (batch?.isRest === true) this.#isDue(group, batch)
  }

  /**
   * Makes batches due if something waits for one of their events, because filling up may need events that this one
   * delays.
   */
  handOnWanted(): void {
    for (const [group, batch] of this.#batches)
      if (batch.entries.some(({ event }) => event.inFlight.isWanted)) this.#isDue(group, batch)
  }

  /** A batch that is handed out although it may not be full. */
  due(): StreamEvent | undefined {
    for (let batch = this.#due.shift(); batch !== undefined; batch = this.#due.shift()) {
      const event = this.#complete(batch)
      if (event !== undefined) return event
    }
    return undefined
  }

  /** Gives back everything that was collected and not yet handed on. */
  requeue(): void {
    for (const batch of [...this.#due.splice(0), ...this.#batches.values()]) {
      batch.timer?.cancel()
      // The first one last, because each goes before all others of its source.
      for (const { event } of batch.entries.toReversed()) event.requeue()
    }
    this.#batches.clear()
  }

  #begin(group: object, isRest: boolean): GrowingBatch {
    const { clock, withinMs } = this.#options
    const batch: GrowingBatch = { entries: [], timer: undefined, isRest }
    if (withinMs === undefined) return batch
    batch.timer = clock.schedule(withinMs, () => this.#isDue(group, batch))
    return batch
  }

  #isDue(group: object, batch: GrowingBatch): void {
    batch.timer?.cancel()
    this.#batches.delete(group)
    this.#due.push(batch)
    this.onDue()
  }

  /** The event that represents the batch; events of tasks lost meanwhile are left out. */
  #complete(batch: GrowingBatch): StreamEvent | undefined {
    batch.timer?.cancel()
    const members: StreamEvent[] = []
    const values: unknown[] = []
    for (const { event, value } of batch.entries) {
      if (!event.open) {
        event.requeue()
        continue
      }
      members.push(event)
      values.push(value)
      if (event.isPartial) this.#begun.add(event.inFlight)
    }
    const [first] = members
    if (first === undefined) return undefined
    first.lead(members, values)
    first.inFlight.handedOn()
    return first
  }
}

/** One `take()` of a reader, and the step to which its batches go. */
interface TakeAt {
  readonly step: TakeStep
  readonly branch: Branch
  /** Index of the step behind it. */
  readonly next: number
}

interface DueBatch {
  readonly event: StreamEvent
  readonly steps: readonly StreamStep[]
  /** Index of the next step. */
  readonly next: number
}

/** Every `take()` that a reader's events go through. */
export class Batching {
  readonly #takes: readonly TakeAt[]
  /** Read before each event: not a getter, which would be a call there. */
  readonly isUsed: boolean

  constructor(branches: readonly Branch[], wakeup: Wakeup) {
    const takes = new Map<TakeStep, TakeAt>()
    for (const branch of branches) {
      branch.steps.forEach((step, index) => {
        if (!(step instanceof TakeStep)) return
        takes.set(step, { step, branch, next: index + 1 })
        step.onDue = () => wakeup.wake()
      })
    }
    this.#takes = [...takes.values()]
    this.isUsed = takes.size > 0
    if (!this.isUsed) return
    for (const { source } of branches) {
      source.onDrain = () => this.requeue()
      source.onWanted = () => this.handOnWanted()
    }
  }

  /** A batch that is handed out although it may not be full, and its next step. */
  due(): DueBatch | undefined {
    for (const { step, branch, next } of this.#takes) {
      const event = step.due()
      if (event !== undefined) return { event, steps: branch.steps, next }
    }
    return undefined
  }

  /** Gives back what was collected. */
  requeue(): void {
    for (const { step } of this.#takes) step.requeue()
  }

  /** Makes batches due for whose end something waits. */
  handOnWanted(): void {
    for (const { step } of this.#takes) step.handOnWanted()
  }
}
