import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCrontab } from '../jobs/create-jobs.ts'
import { CronTimetable } from './cron-timetable.ts'
import { TimerTimetable } from './timer-timetable.ts'
import type { Moment } from './timetable.ts'

const START: Moment = { wallMs: Date.UTC(2026, 0, 1), monotonicMs: 7000.25 }

function later({ wallMs, monotonicMs }: Moment, ms: number): Moment {
  return { wallMs: wallMs + ms, monotonicMs: monotonicMs + ms }
}

/** Query times that are far apart and close together. */
const looks = fc.array(fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 400_000 })), {
  maxLength: 50,
})

test('a timer returns each slot once, none early, none lost, at its rate for any query times', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), looks, (everyMs, steps) => {
      const timetable = TimerTimetable.from(everyMs, START)
      let now = START
      let counted = 0
      for (const step of steps) {
        now = later(now, step)
        const { slots, skipped } = timetable.due(now)
        counted += slots.length + skipped
        expect(counted).toBe(Math.floor((now.wallMs - START.wallMs) / everyMs))
        expect(slots).toEqual(slots.length === 0 ? [] : [START.wallMs + counted * everyMs])
        expect(timetable.nextInMs(now)).toBe(START.wallMs + (counted + 1) * everyMs - now.wallMs)
      }
    }),
  )
})

test('a timer waits exactly, even for intervals that floating point cannot represent', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.1, max: 1000, noNaN: true }), fc.integer({ min: 1, max: 300 }), (everyMs, slots) => {
      const timetable = TimerTimetable.from(everyMs, START)
      let now = START
      let told = 0
      for (let i = 0; i < slots; i++) {
        now = later(now, timetable.nextInMs(now))
        told += timetable.due(now).slots.length
      }
      expect(told).toBe(slots)
    }),
  )
})

test('a timer that continues for another worker keeps its phase, and runs a slot that has just passed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300_000 }), fc.integer({ min: 0, max: 1_000_000 }), (everyMs, sinceMs) => {
      const lastMs = START.wallMs - sinceMs
      const timetable = TimerTimetable.after(everyMs, lastMs, START)
      const lateMs = sinceMs % everyMs
      const { slots } = timetable.due(START)
      expect(slots).toEqual(sinceMs >= everyMs && lateMs <= 60_000 ? [START.wallMs - lateMs] : [])
      expect(timetable.nextInMs(START)).toBe(everyMs - lateMs)
    }),
  )
})

test('a cron job returns each slot once, none early, none lost, even if the clock is set', () => {
  const job = createCrontab('*/7 * * * *', { name: 'job' }, () => {})
  const sets = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 900_000 }), fc.integer({ min: -3_600_000, max: 3_600_000 })),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(sets, (steps) => {
      const timetable = new CronTimetable(job, START.wallMs)
      let wallMs = START.wallMs
      let lastMs = wallMs
      for (const [step, set] of steps) {
        wallMs += step + (step % 3 === 0 ? set : 0)
        const { slots, skipped } = timetable.due({ wallMs, monotonicMs: 0 })
        for (const slot of slots) {
          expect(slot).toBeGreaterThan(lastMs)
          expect(slot).toBeLessThanOrEqual(wallMs)
          expect(wallMs - slot).toBeLessThanOrEqual(60_000)
        }
        const passed = slotsOfSeven(lastMs, wallMs)
        expect(slots.length + skipped).toBe(passed)
        lastMs = Math.max(lastMs, timetable.cursorMs)
        const nextInMs = timetable.nextInMs({ wallMs, monotonicMs: 0 }) ?? 0
        expect(nextInMs).toBeGreaterThan(0)
      }
    }),
  )
})

test('finds the last slots of a long absence without visiting all of it', () => {
  const job = createCrontab('* * * * * *', { name: 'job', onLeader: true, catchUp: 'all' }, () => {})
  const timetable = new CronTimetable(job, START.wallMs)
  const wallMs = START.wallMs + 365 * 86_400_000
  const { slots, skipped } = timetable.due({ wallMs, monotonicMs: 0 })
  expect(slots).toEqual(Array.from({ length: 1000 }, (_, i) => wallMs - (999 - i) * 1000))
  expect(skipped).toBeGreaterThan(10_000)
  expect(timetable.due({ wallMs, monotonicMs: 0 })).toEqual({ slots: [], skipped: 0 })
})

/** Slots of `*\/7 * * * *` after one time and up to another, counted minute by minute. */
function slotsOfSeven(afterMs: number, untilMs: number): number {
  let count = 0
  for (let ms = Math.floor(afterMs / 60_000) * 60_000 + 60_000; ms <= untilMs; ms += 60_000)
    if (new Date(ms).getUTCMinutes() % 7 === 0) count++
  return count
}
