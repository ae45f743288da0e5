import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AckTracker, type OffsetRange, ResumePoint } from './positions.ts'

/** The same by brute force: a list of every offset handed out, and whether it is finished. */
class NaiveTracker {
  readonly events: { offset: number; done: boolean }[] = []
  readTo: number

  constructor(position: number) {
    this.readTo = position
  }

  position(): number {
    return this.events.find((event) => !event.done)?.offset ?? this.readTo
  }

  /** All finished offsets from the position up to `readTo`, including those that were never handed out. */
  finishedBeyond(): Set<number> {
    const found = new Set<number>()
    const handed = this.events
    for (const [index, event] of handed.entries()) {
      if (!event.done || event.offset < this.position()) continue
      const end = handed[index + 1]?.offset ?? this.readTo
      for (let offset = event.offset; offset < end; offset++) found.add(offset)
    }
    return found
  }
}

test('equals a naive model under any order of handing out and finishing', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('hand' as const), skip: fc.integer({ min: 0, max: 3 }) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('finish' as const), pick: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('advance' as const), by: fc.integer({ min: 0, max: 5 }) }) },
  )
  fc.assert(
    fc.property(fc.nat(1000), fc.array(step, { maxLength: 250, size: 'max' }), (start, steps) => {
      const tracker = new AckTracker(start)
      const naive = new NaiveTracker(start)
      const open: { number: number; index: number }[] = []
      for (const one of steps) {
        if (one.kind === 'hand') {
          const offset = naive.readTo + one.skip
          open.push({ number: tracker.hand(offset), index: naive.events.length })
          naive.events.push({ offset, done: false })
          naive.readTo = offset + 1
        } else if (one.kind === 'finish') {
          const [picked] = open.splice(one.pick % Math.max(open.length, 1), 1)
          if (picked === undefined) continue
          tracker.finish(picked.number)
          const event = naive.events[picked.index]
          if (event !== undefined) event.done = true
        } else {
          naive.readTo += one.by
          tracker.advance(naive.readTo)
        }
        expect(tracker.position).toBe(naive.position())
        expect(tracker.readTo).toBe(naive.readTo)
      }
      const { position, finished } = tracker.progress()
      const covered = new Set<number>()
      let last = position
      for (const { from, to } of finished) {
        expect(from).toBeGreaterThan(last)
        expect(to).toBeGreaterThan(from)
        last = to
        for (let offset = from; offset < to; offset++) covered.add(offset)
      }
      expect(covered).toEqual(naive.finishedBeyond())
      expect(tracker.unfinished(Number.MAX_SAFE_INTEGER)).toEqual(
        naive.events.filter((event) => !event.done).map((event) => event.offset),
      )
      expect(tracker.handed - tracker.passed).toBeGreaterThanOrEqual(open.length)
    }),
  )
})

test('keeps events until they are forgotten, while others come and go and its ring grows', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('hand' as const), keep: fc.boolean() }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('finish' as const), pick: fc.nat() }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 250, size: 'max' }), (steps) => {
      const tracker = new AckTracker<string>(0)
      const open: number[] = []
      const kept = new Map<number, string>()
      for (const one of steps) {
        if (one.kind === 'hand') {
          const number = tracker.hand(tracker.readTo)
          open.push(number)
          if (!one.keep) continue
          kept.set(number, `event ${number}`)
          tracker.keep(number, `event ${number}`)
        } else {
          const [number] = open.splice(one.pick % Math.max(open.length, 1), 1)
          if (number === undefined) continue
          tracker.finish(number)
          if (kept.delete(number)) tracker.forget(number)
        }
      }
      expect(tracker.kept()).toEqual([...kept.values()])
    }),
  )
})

test('an event that is kept is still there when its ring has grown', () => {
  const tracker = new AckTracker<string>(0)
  const first = tracker.hand(0)
  tracker.keep(first, 'first')
  for (let offset = 1; offset < 1000; offset++) tracker.hand(offset)
  expect(tracker.kept()).toEqual(['first'])
  tracker.forget(first)
  expect(tracker.kept()).toEqual([])
})

test('keeps thousands of events open at once', () => {
  const tracker = new AckTracker(0)
  const numbers = Array.from({ length: 5000 }, (_, offset) => tracker.hand(offset))
  for (const number of numbers.slice(1)) tracker.finish(number)
  expect(tracker.progress()).toEqual({ position: 0, finished: [{ from: 1, to: 5000 }] })
  tracker.finish(0)
  expect(tracker.progress()).toEqual({ position: 5000, finished: [] })
})

test('an event in the last place of a full ring is returned once', () => {
  const tracker = new AckTracker<string>(0)
  tracker.keep(tracker.hand(0), 'first')
  for (let offset = 1; offset < 64; offset++) tracker.hand(offset)
  expect(tracker.kept()).toEqual(['first'])
})

test('memory depends on how many events are open at once, not on how many there were', () => {
  const tracker = new AckTracker(0)
  const before = process.memoryUsage().arrayBuffers
  for (let offset = 0; offset < 200_000; offset++) tracker.finish(tracker.hand(offset))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
})

test('the next offset to read never goes back', () => {
  const tracker = new AckTracker(7)
  tracker.advance(5)
  expect([tracker.readTo, tracker.position]).toEqual([7, 7])
})

test('returns the lowest unfinished offsets, up to the given limit', () => {
  const tracker = new AckTracker(0)
  for (let offset = 0; offset < 5; offset++) tracker.hand(offset)
  tracker.finish(1)
  expect(tracker.unfinished(2)).toEqual([0, 2])
  expect(tracker.unfinished(0)).toEqual([])
})

/** Ranges beyond a position, and the list of all finished offsets up to 60. */
const resumePoints = fc
  .tuple(
    fc.integer({ min: 0, max: 10 }),
    fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })), { maxLength: 6 }),
  )
  .map(([position, steps]) => {
    const finished: OffsetRange[] = []
    let end = position
    for (const [gap, length] of steps) {
      finished.push({ from: end + gap, to: end + gap + length })
      end += gap + length
    }
    const done = new Set(Array.from({ length: position }, (_, offset) => offset))
    for (const { from, to } of finished) for (let offset = from; offset < to; offset++) done.add(offset)
    return { position, finished, done, end }
  })

test('every query on a resume point agrees with the set of finished offsets', () => {
  fc.assert(
    fc.property(
      resumePoints,
      fc.uniqueArray(fc.nat(60), { maxLength: 30 }),
      fc.nat(60),
      fc.nat(60),
      ({ position, finished, done, end }, asked, a, b) => {
        const resume = new ResumePoint({ position, finished })
        for (const offset of asked.toSorted((x, y) => x - y)) {
          expect([offset, resume.isFinished(offset)]).toEqual([offset, done.has(offset)])
          expect([offset, resume.isPast(offset)]).toEqual([offset, offset >= end])
        }
        const [from, to] = [Math.min(a, b), Math.max(a, b)]
        const stretch = Array.from({ length: to - from }, (_, nth) => from + nth)
        if (from < to) expect(resume.covers(from, to)).toBe(stretch.every((offset) => done.has(offset)))
        const beyond = new Set<number>()
        for (const range of resume.beyond(from)) {
          expect(range.to).toBeGreaterThan(range.from)
          for (let offset = range.from; offset < range.to; offset++) beyond.add(offset)
        }
        expect(beyond).toEqual(new Set([...done].filter((offset) => offset >= Math.max(from, position))))
      },
    ),
  )
})

test('a stretch is finished where the position and the ranges meet', () => {
  const resume = new ResumePoint({
    position: 10,
    finished: [
      { from: 12, to: 14 },
      { from: 14, to: 18 },
      { from: 20, to: 25 },
    ],
  })
  const finished = [
    [0, 10],
    [12, 18],
    [13, 18],
    [15, 17],
    [20, 25],
    [24, 25],
  ] as const
  for (const [from, to] of finished) expect([from, to, resume.covers(from, to)]).toEqual([from, to, true])
  const unfinished = [
    [0, 11],
    [11, 14],
    [12, 19],
    [15, 21],
    [24, 26],
    [25, 26],
  ] as const
  for (const [from, to] of unfinished) expect([from, to, resume.covers(from, to)]).toEqual([from, to, false])
})
