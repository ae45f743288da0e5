import type { Event } from '../events/event.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import { type HeldResult, withResults } from '../states/held-results.ts'
import type { SuppressState } from '../states/suppress-state.ts'
import type { WindowResult, WindowState } from '../stream-windows.ts'
import { ManyValues, type StepResult, type StreamStep } from './stream-step.ts'

type Results = readonly WindowResult<unknown, unknown>[]

/** Counts an event in its open windows, and returns the new result of each; none if the event is late. */
export type CountInWindows = (event: StreamEvent) => Results

/** How a result is made of values, whatever their types. */
export interface UntypedAggregation {
  readonly init: () => unknown
  readonly add: (result: unknown, value: unknown, key: unknown) => unknown
}

export function countInWindows(state: WindowState, { init, add }: UntypedAggregation): CountInWindows {
  return (event) => {
    const { key, current } = event
    // After events() the value is the event itself.
    const value = current === event ? (event as Event<unknown, unknown>).value : current
    const results: WindowResult<unknown, unknown>[] = []
    state.update(
      key,
      (before, window) => {
        const after = add(before ?? init(), value, key)
        results.push({ key, window, value: after })
        return after
      },
      { copied: (copy, window) => void results.push({ key, window, value: copy }) },
    )
    return results
  }
}

/** Continues with the new results of an event's windows. `spreads`: there may be several. */
export function windowStep(count: CountInWindows, spreads: boolean): StreamStep {
  return {
    changesValue: true,
    ...(spreads ? { spreads: true } : {}),
    run: (event) => giveResults(event, count(event)),
  }
}

/** The last step of events whose results are read from a state: of the windows as they close, or of what is held back. */
export class LastWindowStep implements StreamStep {
  readonly changesValue = false
  /** Holds results back, if they are emitted every so often. */
  held: SuppressState | undefined = undefined
  readonly #count: CountInWindows

  constructor(count: CountInWindows) {
    this.#count = count
  }

  run(event: StreamEvent): undefined {
    const results = this.#count(event)
    const { held } = this
    if (held !== undefined && results.length > 0) {
      const { key } = event
      const before = held.held(key) as readonly HeldResult[] | undefined
      held.keep(key, held.encode(withResults(before ?? [], results)), event.worker.clock.now())
    }
    event.done()
    return undefined
  }
}

/** Continues with the results that were held back, except those whose windows are given when they close. */
export function releaseStep(state: WindowState): StreamStep {
  return {
    changesValue: true,
    spreads: true,
    run(event) {
      const { key, current } = event
      const held = (current as readonly HeldResult[]).filter(({ window }) => !state.givesClosed(window))
      return giveResults(
        event,
        held.map(({ window, value }) => ({ key, window, value })),
      )
    },
  }
}

function giveResults(event: StreamEvent, results: Results): StepResult {
  const [only] = results
  if (results.length > 1) return new ManyValues(event, results.values())
  if (only === undefined) {
    event.done()
    return undefined
  }
  event.current = only
  event.changed = true
  return event
}
