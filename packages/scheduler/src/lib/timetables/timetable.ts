import type { Clock } from '@millrace/core'

/** Both clocks at one instant. */
export interface Moment {
  readonly wallMs: number
  readonly monotonicMs: number
}

export function momentOf(clock: Clock): Moment {
  return { wallMs: clock.now(), monotonicMs: clock.monotonic() }
}

/** Slots that have come. */
export interface DueSlots {
  /** To be run, in order; wall time in milliseconds. */
  readonly slots: readonly number[]
  /** How many more have passed and are not run. */
  readonly skipped: number
}

export const NOTHING_DUE: DueSlots = { slots: [], skipped: 0 }

/** When a job is due. Each slot is given once, and always a later one than before. */
export interface Timetable {
  /** What has come since the last call. */
  due(now: Moment): DueSlots
  /** Until the next slot; `undefined` when there is none. */
  nextInMs(now: Moment): number | undefined
  /** Every slot up to this one has been given. */
  readonly cursorMs: number
}

/** How late a slot may run without being caught up: longer than any timer, busy loop or change of the leader should take. */
export const LATE_LIMIT_MS = 60_000
