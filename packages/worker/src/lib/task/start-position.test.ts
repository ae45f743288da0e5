import { expect, test } from 'vitest'
import { encodeCommitMetadata } from '../records/commit-metadata.ts'
import { afterLoss, startPosition } from './start-position.ts'

const at = { topic: 't', partition: 0 }
const bounds = { ...at, beginning: 10, end: 20 }
const committed = (
  offset: number,
  metadata = '',
): { topic: string; partition: number; offset: number; metadata: string } => ({ ...at, offset, metadata })
const rules = { offsetReset: 'earliest', onOffsetLost: 'stop', exactlyOnce: false } as const
const goOn = { ...rules, onOffsetLost: 'earliest' } as const

test('continues at the committed offset, each subscription at its own position', () => {
  for (const offset of [10, 15, 20])
    expect(startPosition(at, { committed: committed(offset, 'm1 a:1'), bounds }, rules)).toEqual({
      offset,
      progress: new Map([['a', { position: Math.min(offset + 1, 20), finished: [] }]]),
      origin: 'committed',
      loss: undefined,
    })
})

test('begins where offsetReset says', () => {
  expect(startPosition(at, { committed: undefined, bounds }, rules)).toMatchObject({ offset: 10, origin: 'reset' })
  expect(startPosition(at, { committed: undefined, bounds }, { ...rules, offsetReset: 'latest' })).toMatchObject({
    offset: 20,
    origin: 'reset',
  })
})

test.each([9, 21])('offset %i is lost', (offset) => {
  expect(() => startPosition(at, { committed: committed(offset), bounds }, rules)).toThrow(
    /OFFSET_OUT_OF_RANGE.*"t" partition 0.*onOffsetLost: 'stop'/,
  )
  expect(startPosition(at, { committed: committed(offset), bounds }, goOn)).toMatchObject({
    offset: 10,
    origin: 'lost',
  })
})

test('events that subscriptions have finished beyond deleted records are not handled again', () => {
  const progress = new Map([
    ['behind', { position: 4, finished: [] }],
    [
      'gaps',
      {
        position: 5,
        finished: [
          { from: 6, to: 7 },
          { from: 8, to: 12 },
          { from: 14, to: 15 },
        ],
      },
    ],
    ['ahead', { position: 13, finished: [{ from: 16, to: 17 }] }],
  ])
  const { text } = encodeCommitMetadata(4, progress)
  expect(startPosition(at, { committed: committed(4, text), bounds }, goOn)).toMatchObject({
    offset: 10,
    progress: new Map([
      [
        'gaps',
        {
          position: 10,
          finished: [
            { from: 10, to: 12 },
            { from: 14, to: 15 },
          ],
        },
      ],
      ['ahead', { position: 13, finished: [{ from: 16, to: 17 }] }],
      ['behind', { position: 10, finished: [] }],
    ]),
  })
  // The broker has lost offsets that will be given to other records.
  expect(startPosition(at, { committed: committed(21, text), bounds }, goOn)).toMatchObject({ progress: new Map() })
})

test('finished ranges beyond the end of the log are ignored, so new records there are handled', () => {
  const start = startPosition(at, { committed: committed(15, 'm1 a:zzzz b:1,2+zz c:1,2+1,zz+1'), bounds }, rules)
  expect([...start.progress]).toEqual([
    ['a', { position: 20, finished: [] }],
    ['b', { position: 16, finished: [{ from: 18, to: 20 }] }],
    ['c', { position: 16, finished: [{ from: 18, to: 19 }] }],
  ])
})

test('the message of a loss says what is lost, where reading continues, and whether events are repeated', () => {
  const lost = { ...at, position: 7, beginning: 10, end: 20 }
  expect(afterLoss(lost, goOn)).toMatchObject({
    offset: 10,
    again: false,
    message: expect.stringMatching(
      /begins at offset 10: 3 records were deleted.*offsets 7 to 9\. Reading goes on at 10/,
    ),
  })
  expect(afterLoss({ ...lost, position: 9 }, goOn).message).toMatch(/1 record was deleted.*offsets 9 to 9\./)
  // All of it was read and nothing is left, so whatever arrives is new.
  expect(afterLoss({ ...lost, position: 20 }, goOn).again).toBe(false)
  expect(afterLoss({ ...lost, position: 21 }, goOn)).toMatchObject({
    offset: 10,
    again: true,
    message: expect.stringMatching(/ends at offset 20, before 21/),
  })
})

test('exactly once skips deleted records, and never handles a truncated log again', () => {
  const exactlyOnce = { ...goOn, exactlyOnce: true }
  const known = (offset: number) => ({ committed: committed(offset, 'm1 a:1'), bounds })
  expect(startPosition(at, known(9), exactlyOnce)).toMatchObject({
    offset: 10,
    origin: 'lost',
    loss: { again: false },
    progress: new Map([['a', { position: 10, finished: [] }]]),
  })
  expect(() => startPosition(at, known(21), exactlyOnce)).toThrow(/OFFSET_OUT_OF_RANGE.*handle events twice/)
  expect(startPosition(at, known(21), goOn)).toMatchObject({ loss: { again: true }, progress: new Map() })
})

test('a range that ends where the topic begins is dropped, and so is one that begins where the topic ends', () => {
  const start = startPosition(at, { committed: committed(4, 'm1 a:1,1+4,2+1'), bounds }, goOn)
  expect(start.progress.get('a')).toEqual({ position: 10, finished: [{ from: 12, to: 13 }] })
  const beyond = startPosition(
    at,
    { committed: committed(15, 'm1 a:1,1+3,2+1'), bounds: { ...bounds, end: 20 } },
    rules,
  )
  expect(beyond.progress.get('a')).toEqual({ position: 16, finished: [{ from: 17, to: 20 }] })
  const past = startPosition(at, { committed: committed(15, 'm1 a:1,1+2,1+1'), bounds: { ...bounds, end: 20 } }, rules)
  expect(past.progress.get('a')).toEqual({ position: 16, finished: [{ from: 17, to: 19 }] })
})
