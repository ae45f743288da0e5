import { manualClock } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventTimes } from './event-times.ts'
import { AckTracker } from './positions.ts'

const HOUR = 3_600_000

test('finished and stamped times equal those of a sorted model, in any order of finishing and over restarts', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 300 }),
      fc.infiniteStream(fc.nat()),
      (times, choices) => {
        const next = choices[Symbol.iterator]()
        const choose = (count: number): number => (next.next().value ?? 0) % count
        let start = 0
        let finishedTime = -Infinity
        while (start < times.length) {
          // One owner hands out and finishes events in any order, and is gone at some point.
          const tracker = new AckTracker(start)
          const event = new EventTimes(tracker, finishedTime, manualClock())
          const open: number[] = []
          const steps = choose(2 * times.length) + 1
          let handed = 0
          for (let step = 0; step < steps; step++) {
            const canHand = start + handed < times.length
            if (canHand && (open.length === 0 || choose(2) === 0)) {
              event.stamp(tracker.handed, times[start + handed] ?? 0)
              open.push(tracker.hand(start + handed))
              handed++
            } else if (open.length > 0) tracker.finish(open.splice(choose(open.length), 1)[0] ?? 0)
            for (const number of open)
              expect(event.stampedAt(number)).toBe(Math.max(...times.slice(0, start + number + 1)))
            expect(event.finished).toBe(Math.max(-Infinity, ...times.slice(0, start + tracker.passed)))
          }
          finishedTime = event.finished
          start += Math.max(tracker.passed, steps > 1 ? 0 : 1)
          if (tracker.passed === 0 && steps <= 1) finishedTime = Math.max(finishedTime, times[start - 1] ?? 0)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('an alarm goes off once the finished time has reached it, and not before', () => {
  const tracker = new AckTracker(0)
  const times = new EventTimes(tracker, -Infinity, manualClock())
  let told = 0
  times.alarm = 2 * HOUR
  times.onAlarm = () => void told++
  for (const [number, time] of [HOUR, 3 * HOUR, HOUR].entries()) {
    times.stamp(number, time)
    tracker.hand(number)
  }
  const finish = (number: number): void => {
    tracker.finish(number)
    times.check()
  }
  finish(2)
  expect(told).toBe(0)
  finish(0)
  expect(told).toBe(0)
  finish(1)
  expect(told).toBe(1)
})
