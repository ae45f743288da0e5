import type { CronFields } from './cron-fields.ts'

const DAY_MS = 86_400_000

/** The calendar repeats after 400 years: a date that has not matched by then never does. */
const CALENDAR_DAYS = 146_097

/**
 * The first matching date from `fromDay` on, in days since 1970-01-01; `undefined` if no date ever matches. As in cron,
 * a date matches if the month and either of the two day fields match, or both day fields if one of them is open.
 */
export function nextDate(fields: CronFields, fromDay: number): number | undefined {
  for (let day = fromDay; day < fromDay + CALENDAR_DAYS; day++) if (matchesDate(fields, day)) return day
  return undefined
}

function matchesDate({ months, days, weekdays }: CronFields, day: number): boolean {
  const date = new Date(day * DAY_MS)
  if (!months.includes(date.getUTCMonth() + 1)) return false
  if (days === undefined && weekdays === undefined) return true
  const dayOfMonth = date.getUTCDate()
  const length = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
  if (days !== undefined && (days.days.includes(dayOfMonth) || (days.last && dayOfMonth === length))) return true
  if (weekdays === undefined) return false
  const weekday = date.getUTCDay()
  if (weekdays.last.includes(weekday) && dayOfMonth > length - 7) return true
  return weekdays.days.includes(weekday) && (weekdays.nth === 0 || weekdays.nth === Math.ceil(dayOfMonth / 7))
}
