import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inTurn, planFetches } from './plan-fetches.ts'
import { newPosition, type Position } from './position.ts'

interface Given {
  readonly position: Position
  readonly leader: number
}

const given: fc.Arbitrary<readonly Given[]> = fc
  .array(
    fc.record({
      active: fc.boolean(),
      paused: fc.boolean(),
      held: fc.boolean(),
      leader: fc.integer({ min: -1, max: 3 }),
    }),
    { maxLength: 12 },
  )
  .map((list) =>
    list.map(({ active, paused, held, leader }, partition) => {
      const at = { topic: 't', partition }
      const batch = held ? { ...at, records: [], nextOffset: 1, bytes: 0, endOffset: 1 } : undefined
      return { position: { ...newPosition(at), active, paused, batch }, leader }
    }),
  )

test('every partition that can be fetched is, from its leader, unless that is busy or something of it waits', () => {
  fc.assert(
    fc.property(given, fc.uniqueArray(fc.integer({ min: -1, max: 3 })), (list, busy) => {
      const fetching = new Set(busy)
      const leaders = new Map(list.map(({ position, leader }) => [position.partition, leader]))
      const plan = planFetches(
        list.map(({ position }) => position),
        { leader: ({ partition }) => leaders.get(partition) ?? -1, fetching },
      )
      const isReading = ({ active, paused }: Position): boolean => active && !paused
      const holding = new Set(
        list.flatMap(({ position, leader }) => (isReading(position) && position.batch !== undefined ? [leader] : [])),
      )
      const expected = list.filter(
        ({ position, leader }) =>
          isReading(position) && position.batch === undefined && !fetching.has(leader) && !holding.has(leader),
      )
      const planned = [...plan].flatMap(([leader, positions]) => positions.map((position) => ({ position, leader })))
      expect(planned.length).toBe(expected.length)
      expect(planned).toEqual(expect.arrayContaining(expected))
    }),
  )
})

test('each has its turn to be first', () => {
  const firsts = [0, 1, 2, 3].map((turn) => inTurn(['a', 'b', 'c'], turn))
  expect(firsts.map((list) => list.join(''))).toEqual(['abc', 'bca', 'cab', 'abc'])
  expect(inTurn([], 5)).toEqual([])
})
