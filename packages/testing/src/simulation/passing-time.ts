import type { ManualClock } from '@millrace/core'
import type { Gates } from './gates.ts'
import type { Trace } from './trace.ts'

/** Nothing that can go on is held longer than this while time passes: well below any time-out. */
const MOST_HELD_MS = 500
/** Longest leap of the clock. */
const MOST_LEAP_MS = 1000

/** How the clock of a run moves: in leaps to where something happens, none of them past what is held. */
export class PassingTime {
  readonly #clock: ManualClock
  readonly #gates: Gates
  readonly #trace: Trace

  constructor(clock: ManualClock, gates: Gates, trace: Trace) {
    this.#clock = clock
    this.#gates = gates
    this.#trace = trace
  }

  /** Time passes, unless something has been held for long: then that goes on. */
  async pass(): Promise<void> {
    const nowMs = this.#clock.monotonic()
    const ready = this.#gates.ready()
    const late = ready.find(
      ({ heldSinceMs, notBeforeMs }) => nowMs - Math.max(heldSinceMs, notBeforeMs) >= MOST_HELD_MS,
    )
    if (late !== undefined) {
      this.#trace.add(late.owner.name, `> ${late.what}, at last`)
      return this.#gates.open(late)
    }
    const slow = this.#gates.shut.flatMap(({ notBeforeMs }) => (notBeforeMs > nowMs ? [notBeforeMs - nowMs] : []))
    const nextMs = Math.min(this.#clock.nextInMs() ?? MOST_LEAP_MS, ...slow, MOST_LEAP_MS)
    await this.leap(Math.min(nextMs, ready.length > 0 ? MOST_HELD_MS / 4 : MOST_LEAP_MS))
  }

  async leap(byMs: number): Promise<void> {
    this.#trace.add('simulation', `${Math.round(byMs * 1000) / 1000} ms pass`)
    await this.#clock.advance(byMs)
  }
}
