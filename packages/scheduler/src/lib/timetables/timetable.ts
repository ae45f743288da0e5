import type { Clock } from '@millrace/core'

/** Both clocks at one instant. */
export interface Moment {
  readonly wallMs: number
  readonly monotonicMs: number
}

export function momentOf(clock: Clock): Moment {
  return { wallMs: clock.now(), monotonicMs: clock.monotonic() }
}

/** Due slots. */
export interface DueSlots {
  /** Slots to run, in order; wall time in milliseconds. */
  readonly slots: readonly number[]
  /** How many more slots have passed and do not run. */
  readonly skipped: number
}

export const NOTHING_DUE: DueSlots = { slots: [], skipped: 0 }

/** When a job is due. Each slot is returned once, in increasing order. */
export interface Timetable {
  /** The slots due since the last call. */
  due(now: Moment): DueSlots
  /** Time until the next slot; `undefined` if there is none. */
  nextInMs(now: Moment): number | undefined
  /** Every slot up to this one has been returned. */
  readonly cursorMs: number
}

/** How late a slot may run without catching up: longer than any timer, busy loop or change of leader should take. */
export const LATE_LIMIT_MS = 60_000
