import {
  ANY_SUBSCRIPTION,
  decodeCommitMetadata,
  encodeCommitMetadata,
  type OffsetRange,
  type Progress,
} from '@millrace/worker'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planSkip } from './plan-skip.ts'

const MOST = 60
const finished: fc.Arbitrary<ReadonlySet<number>> = fc
  .uniqueArray(fc.integer({ min: 0, max: MOST - 1 }))
  .map((list) => new Set(list))

/** As in a commit: the end of the unbroken run from 0, and the offsets finished beyond it. */
function progressOf(done: ReadonlySet<number>): Progress {
  let position = 0
  while (done.has(position)) position++
  const ranges: OffsetRange[] = []
  for (let offset = position; offset < MOST; offset++) {
    if (!done.has(offset)) continue
    const last = ranges.at(-1)
    if (last?.to === offset) ranges[ranges.length - 1] = { from: last.from, to: offset + 1 }
    else ranges.push({ from: offset, to: offset + 1 })
  }
  return { position, finished: ranges }
}

test('each agent has finished its former offsets and the range, and nothing else', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('a', 'b', 'c-by-size'), finished, { minKeys: 1 }),
      fc.integer({ min: 0, max: MOST - 2 }),
      fc.integer({ min: 1, max: 10 }),
      (agents, from, length) => {
        const range = { from, to: Math.min(from + length, MOST) }
        const progress = new Map(Object.entries(agents).map(([id, done]) => [id, progressOf(done)]))
        const offset = Math.min(...[...progress.values()].map(({ position }) => position))
        const before = { topic: 't', partition: 1, offset, metadata: encodeCommitMetadata(offset, progress).text }
        const after = planSkip(before, range) ?? before
        const skipped = Array.from({ length: range.to - from }, (_, i) => from + i)
        const expected = new Map(
          Object.entries(agents).map(([id, done]) => [id, progressOf(new Set([...done, ...skipped]))]),
        )
        expect(decodeCommitMetadata(after)).toEqual(expected)
        expect(after.offset).toBe(Math.min(...[...expected.values()].map(({ position }) => position)))
        expect(after).toMatchObject({ topic: 't', partition: 1 })
        expect(planSkip(after, range)).toBeUndefined()
      },
    ),
  )
})

test('a commit that names no agent counts for all of them, also before the range', () => {
  const before = { topic: 't', partition: 0, offset: 4, metadata: 'of another program' }
  expect(planSkip(before, { from: 4, to: 9 })).toMatchObject({ offset: 9 })
  const after = planSkip(before, { from: 6, to: 9 })
  expect(after?.offset).toBe(4)
  expect(after && decodeCommitMetadata(after)).toEqual(
    new Map([[ANY_SUBSCRIPTION, { position: 4, finished: [{ from: 6, to: 9 }] }]]),
  )
})

test('refuses when the commit has no room, because omitting a gap would handle events twice', () => {
  const gaps = Array.from({ length: 1500 }, (_, i) => ({ from: 2 * i + 1, to: 2 * i + 2 }))
  const metadata = encodeCommitMetadata(0, new Map([['a', { position: 0, finished: gaps }]])).text
  const committed = { topic: 't', partition: 0, offset: 0, metadata }
  expect(() => planSkip(committed, { from: 100_000, to: 100_001 })).toThrow(/SKIP_REFUSED.*t\/0.*no room/)
})
