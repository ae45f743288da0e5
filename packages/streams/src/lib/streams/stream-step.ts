import type { EventSource } from '../events/source.ts'
import type { StreamEvent } from '../events/stream-event.ts'

/** Values that take the place of one: the steps behind get them one after the other. */
export class ManyValues {
  readonly event: StreamEvent
  readonly values: Iterator<unknown> | AsyncIterator<unknown>

  constructor(event: StreamEvent, values: Iterator<unknown> | AsyncIterator<unknown>) {
    this.event = event
    this.values = values
  }
}

/** What a step gives: the event to go on with, several values of it, or nothing when it was dropped (and finished) or kept for later. */
export type StepResult = StreamEvent | ManyValues | undefined

/**
 * One operator, compiled. It runs over one event at a time, at once where the user's function does; only what is
 * awaited costs a promise.
 */
export interface StreamStep {
  /** False when raw bytes of the value still say the same after it. */
  readonly changesValue: boolean
  /** It makes several values of one. */
  readonly spreads?: true
  run(event: StreamEvent): StepResult | Promise<StepResult>
}

/** Events of one source and the steps they go through. */
export interface Branch {
  readonly source: EventSource
  readonly steps: readonly StreamStep[]
}

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** Goes on with `value`, at once unless it is a promise. */
export function whenDone(
  value: unknown,
  then: (value: unknown) => StepResult | Promise<StepResult>,
): StepResult | Promise<StepResult> {
  return isPromiseLike(value) ? Promise.resolve(value).then(then) : then(value)
}
