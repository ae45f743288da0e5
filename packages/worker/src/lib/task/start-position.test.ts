import { expect, test } from 'vitest'
import { encodeCommitMetadata } from '../records/commit-metadata.ts'
import { startPosition } from './start-position.ts'

const at = { topic: 't', partition: 0 }
const bounds = { ...at, beginning: 10, end: 20 }
const committed = (
  offset: number,
  metadata = '',
): { topic: string; partition: number; offset: number; metadata: string } => ({ ...at, offset, metadata })
const rules = { offsetReset: 'earliest', onOffsetLost: 'stop', exactlyOnce: false } as const
const goOn = { ...rules, onOffsetLost: 'earliest' } as const

test('goes on from the committed offset, each subscription from where it was', () => {
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

test('what subscriptions have finished beyond deleted records is not handled again', () => {
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

test('what nobody can have finished, for it is not there, is handled when it comes', () => {
  const start = startPosition(at, { committed: committed(15, 'm1 a:zzzz b:1,2+zz c:1,2+1,zz+1'), bounds }, rules)
  expect([...start.progress]).toEqual([
    ['a', { position: 20, finished: [] }],
    ['b', { position: 16, finished: [{ from: 18, to: 20 }] }],
    ['c', { position: 16, finished: [{ from: 18, to: 19 }] }],
  ])
})
