import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCrontab } from '../jobs/create-jobs.ts'
import type { CronSchedule } from './next-slot.ts'
import { nextSlot } from './next-slot.ts'

const QUARTER_MS = 15 * 60_000

/** Zones, each with a year in which its clocks change. */
const ZONES = [
  ['America/New_York', 2026],
  ['Europe/Berlin', 2026],
  ['Asia/Kolkata', 2026],
  ['Australia/Lord_Howe', 2026],
  ['Pacific/Apia', 2011],
  ['Pacific/Auckland', 2026],
  ['Pacific/Chatham', 2026],
  ['America/Havana', 2026],
  ['America/Sao_Paulo', 2018],
  ['Africa/Casablanca', 2026],
  ['Antarctica/Troll', 2026],
  ['America/St_Johns', 2026],
  // Put back by three hours at once, by a day less an hour, and by half an hour.
  ['Antarctica/Casey', 2010],
  ['Pacific/Kwajalein', 1969],
  ['Asia/Pyongyang', 2015],
  ['Asia/Gaza', 2011],
] as const

function schedule(expression: string, timezone: string): CronSchedule {
  return createCrontab(expression, { timezone, name: 'job' }, () => {}).schedule
}

function slots(expression: string, timezone: string, from: string, count: number): readonly string[] {
  const walked = schedule(expression, timezone)
  const found: string[] = []
  let ms = Date.parse(from)
  while (found.length < count) {
    const slot = nextSlot(walked, ms)
    if (slot === undefined) break
    expect(slot).toBeGreaterThan(ms)
    found.push(new Date(slot).toISOString().replace('.000', ''))
    ms = slot
  }
  return found
}

interface Wall {
  /** Clocks show this time for the first time. */
  readonly isFirst: boolean
  readonly month: number
  readonly day: number
  readonly weekday: number
  readonly hour: number
  readonly minute: number
  readonly lastDay: boolean
}

/** The clock times of every quarter of an hour in a year, taken from the runtime alone. */
const walls = new Map<string, readonly (readonly [ms: number, wall: Wall])[]>()

function wallsOf(zone: string, year: number): readonly (readonly [ms: number, wall: Wall])[] {
  const known = walls.get(zone)
  if (known !== undefined) return known
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' })
  const list: (readonly [number, Wall])[] = []
  const seen = new Set<string>()
  for (let ms = Date.UTC(year, 0, 1); ms < Date.UTC(year + 1, 0, 1); ms += QUARTER_MS) {
    const text = format.format(ms)
    const [y = 0, month = 0, day = 0, hour = 0, minute = 0] = text.split(/[- :]/).map(Number)
    const weekday = new Date(Date.UTC(y, month - 1, day)).getUTCDay()
    const lastDay = new Date(Date.UTC(y, month - 1, day + 1)).getUTCDate() === 1
    const isFirst = !seen.has(text)
    seen.add(text)
    list.push([ms, { isFirst, month, day, weekday, hour, minute, lastDay }])
  }
  walls.set(zone, list)
  return list
}

interface Expression {
  readonly minutes: readonly number[]
  readonly hours: readonly number[] | '*' | '*/2' | '*/3'
  readonly days: readonly (number | 'L')[] | '*'
  readonly months: readonly number[] | '*'
  readonly weekdays: readonly number[] | '*'
}

function textOf({ minutes, hours, days, months, weekdays }: Expression): string {
  return [minutes, hours, days, months, weekdays]
    .map((field) => (typeof field === 'string' ? field : field.join(',')))
    .join(' ')
}

/** The slots of a year, found by checking every quarter of an hour. */
function expected(
  { minutes, hours, days, months, weekdays }: Expression,
  zone: string,
  year: number,
): readonly number[] {
  const step = typeof hours === 'string' ? Number(hours.split('/')[1] ?? 1) : 1
  return wallsOf(zone, year).flatMap(([ms, wall]) => {
    const hour = typeof hours === 'string' ? wall.hour % step === 0 : hours.includes(wall.hour) && wall.isFirst
    const month = months === '*' || months.includes(wall.month)
    const inDays = days !== '*' && (days.includes(wall.day) || (wall.lastDay && days.includes('L')))
    const inWeekdays = weekdays !== '*' && weekdays.includes(wall.weekday)
    const date = (days === '*' && weekdays === '*') || inDays || inWeekdays
    return minutes.includes(wall.minute) && hour && month && date ? [ms] : []
  })
}

const some = (min: number, max: number): fc.Arbitrary<readonly number[]> =>
  fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 4 })

const expressions: fc.Arbitrary<Expression> = fc.record({
  minutes: fc.uniqueArray(fc.constantFrom(0, 15, 30, 45), { minLength: 1, maxLength: 3 }),
  // Hours of clock changes are chosen often.
  hours: fc.oneof(
    fc.uniqueArray(fc.constantFrom(0, 1, 2, 3, 23), { minLength: 1, maxLength: 4 }),
    some(0, 22),
    fc.constantFrom('*' as const, '*/2' as const, '*/3' as const),
  ),
  days: fc.oneof(
    fc.constant('*' as const),
    fc.uniqueArray(fc.oneof(fc.integer({ min: 1, max: 31 }), fc.constant('L' as const)), {
      minLength: 1,
      maxLength: 4,
    }),
  ),
  months: fc.oneof(fc.constant('*' as const), some(1, 12)),
  weekdays: fc.oneof(fc.constant('*' as const), some(0, 6)),
})

test.each(ZONES)('a year in %s (%i) has the slots that its clocks show', (zone, year) => {
  fc.assert(
    fc.property(expressions, (expression) => {
      const text = textOf(expression)
      // Excludes dates that never come, which are an error at definition.
      const shortMonths =
        Array.isArray(expression.months) &&
        expression.weekdays === '*' &&
        Array.isArray(expression.days) &&
        !expression.days.includes('L')
      fc.pre(!shortMonths || expression.days.some((day) => typeof day === 'number' && day <= 28))
      const walked = schedule(text, zone)
      const wanted = expected(expression, zone, year)
      const found: number[] = []
      for (
        let ms = nextSlot(walked, Date.UTC(year, 0, 1) - 1);
        ms !== undefined && ms < Date.UTC(year + 1, 0, 1);
        ms = nextSlot(walked, ms)
      )
        found.push(ms)
      const iso = (list: readonly number[]): readonly string[] => list.map((ms) => new Date(ms).toISOString())
      expect(iso(found), text).toEqual(iso(wanted))
    }),
    { numRuns: 8 },
  )
})

test('from any time, the next slot is the first one after it, and never early', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      expressions,
      fc.double({ min: 0, max: 0.9, noNaN: true }),
      ([zone, year], expression, share) => {
        fc.pre(expression.days === '*' && expression.months === '*')
        const afterMs = Math.floor(Date.UTC(year, 0, 2) + share * 360 * 86_400_000)
        const wanted = expected(expression, zone, year).find((ms) => ms > afterMs)
        fc.pre(wanted !== undefined)
        expect(nextSlot(schedule(textOf(expression), zone), afterMs)).toBe(wanted)
      },
    ),
    { numRuns: 50 },
  )
})

test('a fixed hour inside the gap is skipped, in the repeated hour it runs once', () => {
  expect(slots('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', 2)).toEqual([
    '2026-03-30T00:30:00Z',
    '2026-03-31T00:30:00Z',
  ])
  expect(slots('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2)).toEqual([
    '2026-10-25T00:30:00Z',
    '2026-10-26T01:30:00Z',
  ])
  expect(slots('0 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00:00Z', 2)).toEqual([
    '2026-10-04T15:00:00Z',
    '2026-10-05T15:00:00Z',
  ])
})

test('a fixed hour runs once even if clocks are put back by more than two hours', () => {
  // At 02:00 on the fifth, clocks went back to 23:00 on the fourth.
  expect(slots('30 1 * * *', 'Antarctica/Casey', '2010-03-03T16:00:00Z', 3)).toEqual([
    '2010-03-04T14:30:00Z',
    '2010-03-05T17:30:00Z',
    '2010-03-06T17:30:00Z',
  ])
})

test('an open hour runs through both', () => {
  expect(slots('30 * * * *', 'Europe/Berlin', '2026-03-29T00:00:00Z', 3)).toEqual([
    '2026-03-29T00:30:00Z',
    '2026-03-29T01:30:00Z',
    '2026-03-29T02:30:00Z',
  ])
  expect(slots('30 * * * *', 'Europe/Berlin', '2026-10-25T00:00:00Z', 3)).toEqual([
    '2026-10-25T00:30:00Z',
    '2026-10-25T01:30:00Z',
    '2026-10-25T02:30:00Z',
  ])
  expect(slots('0 0-23 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z', 2)).toEqual([
    '2026-10-25T01:00:00Z',
    '2026-10-25T02:00:00Z',
  ])
})

test('a date that a zone skipped has no slots', () => {
  expect(slots('0 12 * * *', 'Pacific/Apia', '2011-12-29T12:00:00Z', 2)).toEqual([
    '2011-12-29T22:00:00Z',
    '2011-12-30T22:00:00Z',
  ])
})

test('February 29, last days, last and second weekdays, seconds, nicknames', () => {
  expect(slots('0 0 29 2 *', 'UTC', '2026-01-01T00:00:00Z', 2)).toEqual([
    '2028-02-29T00:00:00Z',
    '2032-02-29T00:00:00Z',
  ])
  expect(slots('0 0 29 2 *', 'Asia/Tokyo', '2096-03-01T00:00:00Z', 1)).toEqual(['2104-02-28T15:00:00Z'])
  expect(slots('0 0 L * *', 'UTC', '2028-01-31T00:00:00Z', 2)).toEqual(['2028-02-29T00:00:00Z', '2028-03-31T00:00:00Z'])
  expect(slots('0 9 * * 5L', 'UTC', '2026-01-01T00:00:00Z', 2)).toEqual([
    '2026-01-30T09:00:00Z',
    '2026-02-27T09:00:00Z',
  ])
  expect(slots('0 9 * * 1#2', 'UTC', '2026-01-01T00:00:00Z', 2)).toEqual([
    '2026-01-12T09:00:00Z',
    '2026-02-09T09:00:00Z',
  ])
  expect(slots('0 9 * * 7', 'UTC', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-04T09:00:00Z'])
  expect(slots('*/20 59 23 * * *', 'UTC', '2026-01-01T23:59:19.500Z', 3)).toEqual([
    '2026-01-01T23:59:20Z',
    '2026-01-01T23:59:40Z',
    '2026-01-02T23:59:00Z',
  ])
  expect(slots('@daily', 'America/Los_Angeles', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-01T08:00:00Z'])
  expect(slots('0 0 * 2 5#5', 'UTC', '2026-01-01T00:00:00Z', 1)).toEqual(['2036-02-29T00:00:00Z'])
})

test('start and end bound the slots, both inclusive', () => {
  const bounded = createCrontab(
    '0 * * * *',
    { name: 'job', start: new Date('2026-01-01T05:00:00Z'), end: new Date('2026-01-01T06:00:00Z') },
    () => {},
  ).schedule
  expect(nextSlot(bounded, 0)).toBe(Date.parse('2026-01-01T05:00:00Z'))
  expect(nextSlot(bounded, Date.parse('2026-01-01T05:00:00Z'))).toBe(Date.parse('2026-01-01T06:00:00Z'))
  expect(nextSlot(bounded, Date.parse('2026-01-01T06:00:00Z'))).toBeUndefined()
})
