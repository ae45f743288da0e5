import { manualClock, NO_HEADERS, type RawRecord } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StampedRecord } from '../contracts/event-time.ts'
import { EventTimes, RecordClock } from './event-times.ts'
import { AckTracker } from './positions.ts'
import { UpstreamTimes, watermarkHeaders } from './upstream-times.ts'

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
  times.alarm = 3 * HOUR
  times.check()
  expect(told).toBe(2)
  times.alarm = 3 * HOUR + 1
  times.check()
  expect(told).toBe(2)
})

test('the time of each event is kept, however many have been handed out and not finished', () => {
  const tracker = new AckTracker(0)
  const times = new EventTimes(tracker, -Infinity, manualClock())
  const hand = (count: number): void => {
    for (let nth = 0; nth < count; nth++) {
      times.stamp(tracker.handed, tracker.handed * 10)
      tracker.hand(tracker.handed)
    }
  }
  // Some have finished before there are more than there was room for.
  hand(40)
  for (let number = 0; number < 30; number++) tracker.finish(number)
  hand(460)
  for (let number = 30; number < 500; number++) expect(times.stampedAt(number)).toBe(number * 10)
  expect(times.finished).toBe(290)
  for (let number = 499; number > 30; number--) tracker.finish(number)
  expect(times.finished).toBe(290)
  tracker.finish(30)
  expect(times.finished).toBe(4990)
})

test('an idle partition is busy again with its next event, and says so once', () => {
  const times = new EventTimes(new AckTracker(0), 5, manualClock())
  let told = 0
  times.onBusy = () => void told++
  times.stamp(0, 10)
  expect([times.idle, told]).toEqual([false, 0])
  times.idle = true
  times.stamp(1, 20)
  times.stamp(2, 30)
  expect([times.idle, told]).toEqual([false, 1])
})

const SKEW = HOUR

/** The clock of a cursor at time 0, its event time, and what it makes of records. */
function recordClock({
  stamp,
  upstream,
}: {
  readonly stamp?: (record: RawRecord) => StampedRecord
  readonly upstream?: UpstreamTimes
}) {
  const tracker = new AckTracker(0)
  const clock = manualClock({ now: 0 })
  const times = new EventTimes(tracker, -Infinity, clock)
  const made = new RecordClock({ stamp, times, upstream, clock, maxFutureSkewMs: SKEW })
  /** Hands a record out and finishes it; the result says which, and how far event time has come with it. */
  const pass = (record: RawRecord): { readonly record: RawRecord | undefined; readonly time: number } => {
    const out = made.stamp(record, tracker.handed)
    const number = tracker.hand(tracker.handed)
    const time = times.stampedAt(number)
    tracker.finish(number)
    return { record: out, time }
  }
  return { clock, times, pass }
}

function at(timestamp: number, rest: Partial<RawRecord> = {}): RawRecord {
  return { offset: 0, timestamp, key: null, value: Buffer.from('v'), headers: NO_HEADERS, ...rest }
}

test('a record counts with its time, or with the one that the topic gives it', () => {
  const { pass, times } = recordClock({})
  const record = at(7)
  expect(pass(record)).toEqual({ record, time: 7 })
  expect(times.skewed).toBe(0)
  const stamped = recordClock({ stamp: (one) => ({ ...one, timestamp: one.timestamp + 100, hasTime: true }) })
  expect(stamped.pass(record)).toMatchObject({ record: at(107), time: 107 })
})

test('a record of which no time is known moves no event time', () => {
  const { pass, times } = recordClock({ stamp: (one) => ({ ...one, hasTime: one.timestamp > 5 }) })
  expect(pass(at(3)).time).toBe(-Infinity)
  expect(pass(at(9))).toMatchObject({ record: { timestamp: 9 }, time: 9 })
  expect(times.skewed).toBe(0)
})

test('a record too far ahead of the clock is handed out, counted, and moves no event time', async () => {
  const { clock, pass, times } = recordClock({})
  expect(pass(at(SKEW)).time).toBe(SKEW)
  const ahead = at(SKEW + 1)
  expect(pass(ahead)).toEqual({ record: ahead, time: SKEW })
  expect(times.skewed).toBe(1)
  await clock.advance(1)
  expect(pass(ahead).time).toBe(SKEW + 1)
  expect(pass(at(5)).time).toBe(SKEW + 1)
  expect(times.skewed).toBe(1)
})

test('without event time a record gets its time all the same', () => {
  const clock = manualClock()
  const options = { times: undefined, clock, maxFutureSkewMs: SKEW }
  expect(new RecordClock({ ...options, stamp: undefined }).stamp(at(7), 0)).toEqual(at(7))
  expect(
    new RecordClock({ ...options, stamp: (one) => ({ ...one, timestamp: 8, hasTime: true }) }).stamp(at(7), 0),
  ).toMatchObject(at(8))
})

test('where upstream tasks send watermarks these alone move event time, and they are not handed out', () => {
  const watermark = (task: string, time: number): RawRecord =>
    at(0, { value: null, headers: watermarkHeaders(task, { time, isIdle: false }) })
  const { pass } = recordClock({
    upstream: new UpstreamTimes(['2-0'], -Infinity, manualClock()),
    stamp: () => ({ ...at(1), hasTime: true }),
  })
  const record = at(700)
  expect(pass(record)).toEqual({ record, time: -Infinity })
  expect(pass(watermark('2-0', 30))).toEqual({ record: undefined, time: 30 })
  expect(pass(record)).toEqual({ record, time: 30 })

  // Where the times of the records count, a watermark that is left from before is passed over.
  const unused = recordClock({ upstream: new UpstreamTimes([], -Infinity, manualClock()) })
  expect(unused.pass(watermark('2-0', 30))).toEqual({ record: undefined, time: -Infinity })
  expect(unused.pass(record)).toEqual({ record, time: 700 })

  const timeless = { times: undefined, stamp: undefined, clock: manualClock(), maxFutureSkewMs: SKEW }
  const bare = new RecordClock({ ...timeless, upstream: new UpstreamTimes(['2-0'], -Infinity, manualClock()) })
  expect([bare.stamp(watermark('2-0', 30), 0), bare.stamp(record, 1)]).toEqual([undefined, record])
})
