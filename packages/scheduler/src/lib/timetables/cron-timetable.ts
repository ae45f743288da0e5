import type { CronJob } from '../jobs/job.ts'
import { nextSlot, type CronSchedule } from '../schedule/next-slot.ts'
import { LATE_LIMIT_MS, NOTHING_DUE, type DueSlots, type Moment, type Timetable } from './timetable.ts'

/** Maximum number of slots caught up. */
const MAX_CAUGHT_UP = 1000

/** Slots visited in a search before the older half of the time is skipped. */
const MAX_WALK = 10_000

/** A wall clock put back by more than this was wrong before. */
export const REBASE_MS = 86_400_000

/** Slots by the wall clock, after `fromMs`. */
export class CronTimetable implements Timetable {
  readonly #job: Pick<CronJob, 'schedule' | 'catchUp' | 'withinMs'>
  #cursorMs: number
  #nextMs: number | undefined

  constructor(job: Pick<CronJob, 'schedule' | 'catchUp' | 'withinMs'>, fromMs: number) {
    this.#job = job
    this.#cursorMs = fromMs
    this.#nextMs = nextSlot(job.schedule, fromMs)
  }

  get cursorMs(): number {
    return this.#cursorMs
  }

  due({ wallMs }: Moment): DueSlots {
    const { schedule, catchUp, withinMs } = this.#job
    // A clock put back a little must not repeat slots; one that was far ahead must not stop the job for years.
    if (wallMs < this.#cursorMs - REBASE_MS) this.#move(wallMs)
    if (this.#nextMs === undefined || this.#nextMs > wallMs) return NOTHING_DUE
    const wanted = catchUp === 'all' ? MAX_CAUGHT_UP : 1
    const { slots, passed } = walk(schedule, { afterMs: this.#cursorMs, untilMs: wallMs, wanted })
    const oldestMs = wallMs - (catchUp === 'none' ? LATE_LIMIT_MS : withinMs)
    const run = slots.filter((slot) => slot >= oldestMs)
    this.#move(slots.at(-1) ?? wallMs)
    return { slots: run, skipped: passed - run.length }
  }

  nextInMs({ wallMs }: Moment): number | undefined {
    return this.#nextMs === undefined ? undefined : Math.max(this.#nextMs - wallMs, 0)
  }

  #move(cursorMs: number): void {
    this.#cursorMs = cursorMs
    this.#nextMs = nextSlot(this.#job.schedule, cursorMs)
  }
}

/** The latest slots in a possibly long time, and a lower bound on their number. */
function walk(
  schedule: CronSchedule,
  { afterMs, untilMs, wanted }: { readonly afterMs: number; readonly untilMs: number; readonly wanted: number },
): { readonly slots: readonly number[]; readonly passed: number } {
  let slots: number[] = []
  let passed = 0
  let steps = 0
  let fromMs = afterMs
  for (let ms = nextSlot(schedule, fromMs); ms !== undefined && ms <= untilMs; ms = nextSlot(schedule, ms)) {
    passed++
    slots.push(ms)
    if (slots.length > wanted) slots = slots.slice(-wanted)
    if (++steps < MAX_WALK) continue
    steps = 0
    fromMs = Math.max(ms, fromMs + Math.floor((untilMs - fromMs) / 2))
    ms = fromMs
  }
  return { slots, passed }
}
