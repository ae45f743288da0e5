import { LATE_LIMIT_MS, NOTHING_DUE, type DueSlots, type Moment, type Timetable } from './timetable.ts'

/** Rounding may leave a sum of fractions this much short of a slot. */
const ROUNDING_MS = 0.001

/**
 * Slots at a fixed rate, counted on the monotonic clock from the start of the timetable. Long runs and late queries do
 * not move the next slot. If several slots are due, only the latest runs.
 */
export class TimerTimetable implements Timetable {
  readonly #everyMs: number
  readonly #originMs: number
  #given: number
  #cursorMs: number

  private constructor(
    everyMs: number,
    { originMs, given, cursorMs }: { readonly originMs: number; readonly given: number; readonly cursorMs: number },
  ) {
    this.#everyMs = everyMs
    this.#originMs = originMs
    this.#given = given
    this.#cursorMs = cursorMs
  }

  /** The first slot is one interval from now. */
  static from(everyMs: number, now: Moment): TimerTimetable {
    return new TimerTimetable(everyMs, { originMs: now.monotonicMs, given: 0, cursorMs: now.wallMs })
  }

  /** Continues from the last slot of another worker, at its rate. A slot that passed only just now is still due. */
  static after(everyMs: number, lastSlotMs: number, now: Moment): TimerTimetable {
    const sinceMs = now.wallMs - lastSlotMs
    // The wall clock was put back, so the other worker's slots cannot be located.
    if (sinceMs < 0) return TimerTimetable.from(everyMs, now)
    const passed = Math.floor(sinceMs / everyMs)
    const lateMs = sinceMs - passed * everyMs
    return new TimerTimetable(everyMs, {
      originMs: now.monotonicMs - sinceMs,
      given: passed > 0 && lateMs <= LATE_LIMIT_MS ? passed - 1 : passed,
      cursorMs: lastSlotMs,
    })
  }

  get cursorMs(): number {
    return this.#cursorMs
  }

  due(now: Moment): DueSlots {
    const come = Math.floor((now.monotonicMs - this.#originMs + ROUNDING_MS) / this.#everyMs)
    const passed = come - this.#given
    if (passed <= 0) return NOTHING_DUE
    this.#given = come
    const agoMs = now.monotonicMs - (this.#originMs + come * this.#everyMs)
    this.#cursorMs = Math.max(Math.round(now.wallMs - agoMs), this.#cursorMs + 1)
    return { slots: [this.#cursorMs], skipped: passed - 1 }
  }

  nextInMs(now: Moment): number {
    return Math.max(this.#originMs + (this.#given + 1) * this.#everyMs - now.monotonicMs, 0)
  }
}
