import type { CronFields } from './cron-fields.ts'

const DAY_MS = 86_400_000

/** The calendar repeats itself after 400 years: what has not come by then never comes. */
const CALENDAR_DAYS = 146_097

/**
 * The first date that matches, counted in days since 1970-01-01, from `fromDay` on; `undefined` when none ever does. As
 * cron has it, a date matches when month and either of the two day fields do, or both where one of them is open.
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
