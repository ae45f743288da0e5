import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeldState } from './held-state.ts'
import type { PlannedMember } from './member-data.ts'
import { planStandbys, type StandbyGroup } from './plan-standbys.ts'

const ANYWHERE = (): boolean => true
const NOWHERE = (): boolean => false

/** Members by what they hold of tasks: offsets that they have absorbed. */
function stateOf(held: Readonly<Record<string, Readonly<Record<string, number>>>>, acceptableLag = 10): HeldState {
  const members = Object.entries(held).map(([id, warm]): PlannedMember => ({
    id,
    data: {
      groups: new Map(),
      tasks: [],
      generation: 0,
      warm: new Map(Object.entries(warm)),
      warmUp: { acceptableLag, most: 2, caughtUp: [] },
      address: undefined,
      instanceId: undefined,
      life: undefined,
      secret: undefined,
      blockingEvents: [],
    },
  }))
  const state = new HeldState(members)
  const tasks = new Set(Object.values(held).flatMap((warm) => Object.keys(warm)))
  for (const task of tasks) state.measure(task, { owner: undefined, members: Object.keys(held) })
  return state
}

function group(partitions: number, keepers: readonly string[], standbys: number): StandbyGroup {
  return { partitions, keepers, standbys, mayCopy: ANYWHERE, areNear: NOWHERE }
}

interface Now {
  readonly owners: Readonly<Record<string, string>>
  readonly before?: Readonly<Record<string, string>>
  readonly state?: HeldState
}

function plan(groups: readonly StandbyGroup[], { owners, before = {}, state = stateOf({}) }: Now) {
  const now = { owners: new Map(Object.entries(owners)), before: new Map(Object.entries(before)), state }
  return Object.fromEntries(planStandbys(groups, now))
}

const ONE = { '1-0': 'a' }
const KEEPERS = ['a', 'b', 'c', 'd']

test.each([
  { who: 'the previous owner', before: { '1-0': 'd' }, held: { c: { '1-0': 100 }, d: {} }, first: ['d', 'c'] },
  {
    who: 'who is warm',
    before: {},
    held: { b: { '1-0': 50 }, c: { '1-0': 90 }, d: { '1-0': 100 } },
    first: ['c', 'd'],
  },
  { who: 'who has rows of any age', before: {}, held: { d: { '1-0': 5 }, c: {}, a: { '1-0': 90 } }, first: ['d', 'b'] },
  { who: 'who comes first by name', before: {}, held: {}, first: ['b', 'c'] },
])('the first choice for a copy is $who', ({ before, held, first }) => {
  expect(plan([group(1, KEEPERS, 2)], { owners: ONE, before, state: stateOf(held) })).toEqual({ '1-0': first })
})

test('a member with the least copies of all groups is chosen among equals', () => {
  const owners = { '1-0': 'a', '2-0': 'a', '2-1': 'd' }
  expect(plan([group(1, KEEPERS, 1), group(2, KEEPERS, 1)], { owners })).toEqual({
    '1-0': ['b'],
    '2-0': ['c'],
    '2-1': ['a'],
  })
})

test('the copies of one owner are spread over many members, even if some have more of others', () => {
  // The second task of `a` goes to `c`, which has as many copies as `b`, but none of `a`.
  const owners = { '3-0': 'a', '3-1': 'b', '3-2': 'a' }
  expect(plan([group(3, ['a', 'b', 'c'], 1)], { owners })).toEqual({ '3-0': ['b'], '3-1': ['a'], '3-2': ['c'] })
  const five = { '4-0': 'a', '4-1': 'c', '4-2': 'd', '4-3': 'a' }
  const state = stateOf({ c: { '4-2': 100 } })
  // Both have one copy; that of `b` is of `a` already.
  expect(plan([group(4, KEEPERS, 1)], { owners: five, state })).toMatchObject({ '4-0': ['b'], '4-2': ['c'] })
})

test('a full member is chosen only if all others are full as well, however warm it is', () => {
  const owners = { '4-0': 'a', '4-1': 'a', '4-2': 'a', '4-3': 'a' }
  const state = stateOf({ b: { '4-0': 100, '4-1': 100, '4-2': 100, '4-3': 100 } })
  const planned = plan([group(4, ['a', 'b', 'c'], 1)], { owners, state })
  expect(planned).toEqual({ '4-0': ['b'], '4-1': ['b'], '4-2': ['c'], '4-3': ['c'] })
  // With two members there is no choice.
  expect(plan([group(4, ['a', 'b'], 1)], { owners, state })).toEqual({
    '4-0': ['b'],
    '4-1': ['b'],
    '4-2': ['b'],
    '4-3': ['b'],
  })
})

test('the order of the members does not matter', () => {
  expect(plan([group(1, KEEPERS.toReversed(), 2)], { owners: ONE })).toEqual({ '1-0': ['b', 'c'] })
})

test('members near the owner have copies only if too few others are left, however warm they are', () => {
  const near = [
    ['a', 'b'],
    ['c', 'd'],
  ]
  const areNear = (one: string, other: string): boolean => near.some((two) => two.includes(one) && two.includes(other))
  const state = stateOf({ b: { '1-0': 100 }, d: { '1-0': 100 } })
  expect(plan([{ ...group(1, KEEPERS, 2), areNear }], { owners: ONE, state })).toEqual({ '1-0': ['d', 'c'] })
  expect(plan([{ ...group(1, KEEPERS, 3), areNear }], { owners: ONE, state })).toEqual({ '1-0': ['d', 'c', 'b'] })
})

test('no copy is made of a task that nobody owns, of none that are wanted, and none by who may not', () => {
  expect(plan([group(2, KEEPERS, 1)], { owners: { '2-1': 'b' } })).toEqual({ '2-1': ['a'] })
  expect(plan([group(1, KEEPERS, 0)], { owners: ONE })).toEqual({})
  expect(plan([group(1, ['a'], 1)], { owners: ONE })).toEqual({})
  const mayCopy = (owner: string, member: string): boolean => owner === 'a' && member === 'd'
  expect(plan([{ ...group(1, KEEPERS, 2), mayCopy }], { owners: ONE })).toEqual({ '1-0': ['d'] })
  expect(plan([{ ...group(1, KEEPERS, 2), mayCopy: () => false }], { owners: ONE })).toEqual({})
})

test('each task has as many copies as are wanted and possible, none at its owner, and no member more than its share', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 6 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 7 }),
      fc.infiniteStream(fc.nat()),
      (size, partitions, standbys, random) => {
        const keepers = KEEPERS.concat('e', 'f').slice(0, size)
        const pick = (): string => keepers[random.next().value % size] ?? ''
        const ids = Array.from({ length: partitions }, (_, partition) => `${partitions}-${partition}`)
        const owners = Object.fromEntries(ids.map((id) => [id, pick()]))
        const before = Object.fromEntries(ids.map((id) => [id, pick()]))
        const planned = plan([group(partitions, keepers, standbys)], { owners, before })
        const copies = Math.min(standbys, size - 1)
        for (const id of ids) {
          expect(new Set(planned[id]).size).toBe(copies)
          expect(planned[id]).toHaveLength(copies)
          expect(planned[id]).not.toContain(owners[id])
        }
      },
    ),
    { numRuns: 50 },
  )
})
