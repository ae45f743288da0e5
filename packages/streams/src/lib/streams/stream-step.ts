import type { EventSource } from '../events/source.ts'
import type { StreamEvent } from '../events/stream-event.ts'

/** Values in place of one: later steps get them one after the other. */
export class ManyValues {
  readonly event: StreamEvent
  readonly values: Iterator<unknown> | AsyncIterator<unknown>

  constructor(event: StreamEvent, values: Iterator<unknown> | AsyncIterator<unknown>) {
    this.event = event
    this.values = values
  }
}

/**
 * The result of a step: the event to continue with, several values of it, or nothing if it was dropped (and finished)
 * or kept for later.
 */
export type StepResult = StreamEvent | ManyValues | undefined

/**
 * One operator, compiled. It runs over one event at a time, synchronously if the user's function does; only awaited
 * results cost a promise.
 */
export interface StreamStep {
  /** False if raw bytes of the value still match after it. */
  readonly changesValue: boolean
  /** Whether it makes several values of one. */
  readonly spreads?: true
  run(event: StreamEvent): StepResult | Promise<StepResult>
}

/** Events of one source, and their steps. */
export interface Branch {
  readonly source: EventSource
  readonly steps: readonly StreamStep[]
}

/** What comes from these sources as it is. */
export function branchesOf(sources: readonly EventSource[]): readonly Branch[] {
  return sources.map((source) => ({ source, steps: [] }))
}

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** Continues with `value`, at once unless it is a promise. */
export function whenDone(
  value: unknown,
  then: (value: unknown) => StepResult | Promise<StepResult>,
): StepResult | Promise<StepResult> {
  return isPromiseLike(value) ? Promise.resolve(value).then(then) : then(value)
}
