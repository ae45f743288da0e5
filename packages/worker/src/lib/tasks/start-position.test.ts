import { expect, test } from 'vitest'
import { startPosition } from './start-position.ts'

const at = { topic: 't', partition: 0 }
const bounds = { ...at, beginning: 10, end: 20 }
const committed = (offset: number): { topic: string; partition: number; offset: number; metadata: string } => ({
  ...at,
  offset,
  metadata: 'm1 a:1',
})
const rules = { offsetReset: 'earliest', onOffsetLost: 'stop' } as const

test('goes on from the committed offset', () => {
  for (const offset of [10, 15, 20])
    expect(startPosition(at, { committed: committed(offset), bounds }, rules)).toEqual({
      offset,
      metadata: 'm1 a:1',
      origin: 'committed',
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
    /OFFSET_OUT_OF_RANGE.*t\/0.*10 to 20/,
  )
  expect(startPosition(at, { committed: committed(offset), bounds }, { ...rules, onOffsetLost: 'earliest' })).toEqual({
    offset: 10,
    metadata: '',
    origin: 'lost',
  })
})
