import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planFetches } from './plan-fetches.ts'
import { RecordSet } from '../wire/record-set.ts'
import { newPosition, type Position } from './position.ts'

const SET = {
  position: 0,
  isolation: 'read-committed',
  aborted: [],
  codecs: {},
  verifyChecksums: true,
  maxUnpackedBytes: 1000,
} as const

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
      const fetched = held ? { set: new RecordSet(Buffer.alloc(0), SET), endOffset: 1, decoded: undefined } : undefined
      return { position: { ...newPosition(at), active, paused, fetched }, leader }
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
        list.flatMap(({ position, leader }) => (isReading(position) && position.fetched !== undefined ? [leader] : [])),
      )
      const expected = list.filter(
        ({ position, leader }) =>
          isReading(position) && position.fetched === undefined && !fetching.has(leader) && !holding.has(leader),
      )
      const planned = [...plan].flatMap(([leader, positions]) => positions.map((position) => ({ position, leader })))
      expect(planned.length).toBe(expected.length)
      expect(planned).toEqual(expect.arrayContaining(expected))
    }),
  )
})

test('with brokers that answer in turn, each partition comes first on its broker, also when others come and go', () => {
  const partitions = Array.from({ length: 8 }, (_, partition) => newPosition({ topic: 't', partition }))
  for (const position of partitions) position.active = true
  const firsts = new Map<number, number[]>([0, 1].map((leader) => [leader, []]))
  let answers = 0
  for (let round = 0; round < 16; round++) {
    const leader = round % 2
    // One broker's request at a time, and a partition that is paused every third time.
    for (const position of partitions) position.paused = position.partition === round && round % 3 === 0
    const plan = planFetches(partitions, { leader: ({ partition }) => partition % 2, fetching: new Set([1 - leader]) })
    const [first] = plan.get(leader) ?? []
    if (first === undefined) throw new Error(`Broker ${leader} is not asked.`)
    firsts.get(leader)?.push(first.partition)
    // The answer has room for the first partition only.
    first.servedAt = ++answers
  }
  expect([...new Set(firsts.get(0))].sort()).toEqual([0, 2, 4, 6])
  expect([...new Set(firsts.get(1))].sort()).toEqual([1, 3, 5, 7])
})
