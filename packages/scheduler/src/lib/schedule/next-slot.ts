import type { CronFields } from './cron-fields.ts'
import { nextDate } from './match-date.ts'
import type { Zone } from './zone.ts'

const SECOND_MS = 1000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** No time zone is further than this from UTC. */
const WIDEST_OFFSET_MS = 16 * HOUR_MS

/** No change of the offset repeats more than a day. */
const LONGEST_REPEAT_MS = DAY_MS + 2 * HOUR_MS

/** How far one search for a change of the offset goes. */
const LOOK_MS = 36 * HOUR_MS

/** When a cron job runs. */
export interface CronSchedule {
  readonly fields: CronFields
  readonly zone: Zone
  /** No slots before this instant; `undefined` for no bound. */
  readonly startMs: number | undefined
  /** No slots after this instant. */
  readonly endMs: number | undefined
}

/**
 * The first slot after `afterMs`, in milliseconds since the epoch; `undefined` if there is none. Always later than
 * `afterMs`.
 *
 * When clocks are put forward, a time that they never show has no slot. When they are put back, a job with a fixed hour
 * has its slot only the first time that clocks show it, and a job with an open hour both times.
 */
export function nextSlot({ fields, zone, startMs, endMs }: CronSchedule, afterMs: number): number | undefined {
  const fromMs = Math.max(afterMs + 1, startMs ?? -Infinity)
  let ms = Math.ceil(fromMs / SECOND_MS) * SECOND_MS
  for (;;) {
    if (endMs !== undefined && ms > endMs) return undefined
    const date = nextDate(fields, Math.floor((ms + zone.offsetAt(ms)) / DAY_MS))
    if (date === undefined) return undefined
    // Nothing matches before that date, in any zone.
    const earliestMs = date * DAY_MS - WIDEST_OFFSET_MS
    if (earliestMs > ms) {
      ms = earliestMs
      continue
    }
    const untilMs = zone.changeAfter(ms, ms + LOOK_MS)
    const slot = slotWithin({ fields, zone }, ms, untilMs)
    if (slot !== undefined) return endMs !== undefined && slot > endMs ? undefined : slot
    ms = untilMs
  }
}

/** The first slot from `fromMs` to before `untilMs`; the offset does not change in between. */
function slotWithin(
  { fields, zone }: Pick<CronSchedule, 'fields' | 'zone'>,
  fromMs: number,
  untilMs: number,
): number | undefined {
  const offsetMs = zone.offsetAt(fromMs)
  const endWallMs = untilMs + offsetMs
  let wallMs = fromMs + offsetMs
  for (;;) {
    const day = Math.floor(wallMs / DAY_MS)
    const date = nextDate(fields, day)
    if (date === undefined || date * DAY_MS >= endWallMs) return undefined
    const time = nextTime(fields, date === day ? wallMs - day * DAY_MS : 0)
    if (time === undefined) {
      wallMs = (date + 1) * DAY_MS
      continue
    }
    wallMs = date * DAY_MS + time
    if (wallMs >= endWallMs) return undefined
    const ms = wallMs - offsetMs
    if (fields.openHour || !isRepeat(zone, ms)) return ms
    wallMs += SECOND_MS
  }
}

/** Whether clocks have shown this time before. */
function isRepeat(zone: Zone, ms: number): boolean {
  const now = zone.offsetAt(ms)
  const before = zone.offsetAt(ms - LONGEST_REPEAT_MS)
  return before > now && zone.offsetAt(ms + now - before) === before
}

/** The first matching time of day, from `fromMs` after midnight on. */
function nextTime({ hours, minutes, seconds }: CronFields, fromMs: number): number | undefined {
  const from = Math.ceil(fromMs / SECOND_MS)
  const [hour, minute, second] = [Math.floor(from / 3600), Math.floor(from / 60) % 60, from % 60]
  for (const h of hours) {
    if (h < hour) continue
    for (const m of minutes) {
      if (h === hour && m < minute) continue
      const s = seconds.find((one) => h > hour || m > minute || one >= second)
      if (s !== undefined) return (h * 3600 + m * 60 + s) * SECOND_MS
    }
  }
  return undefined
}
