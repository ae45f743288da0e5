// What the planner of an assignment reads out of the copies that members report.
import { describe, expect, test } from 'vitest'
import { HeldState } from './held-state.ts'
import type { PlannedMember } from './member-data.ts'
import { planWarmUps } from './plan-warm-ups.ts'

interface Reported {
  readonly warm?: Readonly<Record<string, number>>
  readonly caughtUp?: readonly string[]
  /** Without it, the member has an earlier version. */
  readonly acceptableLag?: number
}

function stateOf(members: Readonly<Record<string, Reported>>): HeldState {
  return new HeldState(
    Object.entries(members).map(([id, { warm = {}, caughtUp = [], acceptableLag }]): PlannedMember => {
      const warmUp = acceptableLag === undefined ? undefined : { acceptableLag, most: 1, caughtUp }
      const data = { groups: new Map(), tasks: [], generation: 0, address: undefined, life: undefined }
      return { id, data: { ...data, warm: new Map(Object.entries(warm)), warmUp } }
    }),
  )
}

describe('the state of a task', () => {
  const members = {
    owner: { warm: { t: 100 }, acceptableLag: 10 },
    near: { warm: { t: 90 }, acceptableLag: 10 },
    far: { warm: { t: 89 }, acceptableLag: 10 },
    none: { acceptableLag: 10 },
    old: {},
    kept: { warm: { t: 20 }, caughtUp: ['t'], acceptableLag: 10 },
  }
  const names = Object.keys(members)

  test.each([
    { member: 'owner', holds: true, lag: 0, isWarm: true, isReady: true },
    { member: 'near', holds: true, lag: 10, isWarm: true, isReady: true },
    { member: 'far', holds: true, lag: 11, isWarm: false, isReady: false },
    { member: 'none', holds: false, lag: 100, isWarm: false, isReady: false },
    { member: 'old', holds: false, lag: 100, isWarm: false, isReady: true },
    { member: 'kept', holds: true, lag: 80, isWarm: false, isReady: true },
  ])('as $member has it', ({ member, holds, lag, isWarm, isReady }) => {
    const state = stateOf(members)
    state.measure('t', { owner: 'owner', members: names })
    expect([
      state.holds('t', member),
      state.lag('t', member),
      state.isWarm('t', member),
      state.isReady('t', member),
    ]).toEqual([holds, lag, isWarm, isReady])
    expect(state.hasCaughtUp('t', member)).toBe(member === 'kept')
    // Of another task nobody has anything, and nothing is missing.
    state.measure('u', { owner: undefined, members: names })
    expect([state.holds('u', member), state.lag('u', member), state.isReady('u', member)]).toEqual([false, 0, true])
  })

  test('is whole, where it has no owner, with those that have caught up', () => {
    const state = stateOf(members)
    state.measure('t', { owner: undefined, members: names })
    // Rows of any age on a disk are no reason to wait.
    expect(names.filter((one) => !state.isReady('t', one))).toEqual(['none'])
    const alone = stateOf({ far: members.far, none: members.none })
    alone.measure('t', { owner: undefined, members: ['far', 'none'] })
    expect([alone.isReady('t', 'none'), alone.lag('t', 'none'), alone.isWarm('t', 'far')]).toEqual([true, 89, true])
  })

  test('of a member of an earlier version is warm only if it is the best', () => {
    const state = stateOf({ a: { warm: { t: 5, u: 5 } }, b: { warm: { t: 6 } } })
    for (const task of ['t', 'u']) state.measure(task, { owner: undefined, members: ['a', 'b'] })
    expect([state.isWarm('t', 'a'), state.isWarm('u', 'a'), state.isWarm('t', 'b')]).toEqual([false, true, true])
  })
})

test('a member rather gets a task for which it is ready, then one that it holds, that few others hold, or of which it lacks less', () => {
  const state = stateOf({
    owner: { warm: { ready: 0, held: 500, plain: 500, shared: 500, little: 300 }, acceptableLag: 100 },
    me: { warm: { held: 10, shared: 20, half: 5 }, acceptableLag: 100 },
    third: { warm: { shared: 30 }, acceptableLag: 100 },
  })
  for (const task of ['ready', 'held', 'plain', 'shared', 'little'])
    state.measure(task, { owner: 'owner', members: ['owner', 'me', 'third'] })
  const order = ['ready', 'held', 'shared', 'little', 'plain']
  const shuffles = [order, order.toReversed(), ['plain', 'held', 'ready', 'little', 'shared']]
  for (const tasks of shuffles) expect(tasks.toSorted((a, b) => state.compare(a, b, 'me'))).toEqual(order)
})

describe('warm-ups are planned', () => {
  const tasks = ['a', 'b', 'c', 'd', 'e']
  const owner = { warm: Object.fromEntries(tasks.map((task, i) => [task, 1000 + 100 * i])), acceptableLag: 10 }

  function plan(comer: Reported, { most = 10, standbys = {}, to = 'comer' }: PlanOptions = {}) {
    const state = stateOf({ owner, comer })
    for (const task of tasks) state.measure(task, { owner: 'owner', members: ['owner', 'comer'] })
    return [
      ...planWarmUps({
        owners: new Map(tasks.map((task) => [task, 'owner'])),
        wanted: new Map(tasks.map((task) => [task, to])),
        standbys: new Map(Object.entries(standbys)),
        state,
        most,
      }),
    ]
  }
  interface PlanOptions {
    readonly most?: number
    readonly standbys?: Readonly<Record<string, readonly string[]>>
    readonly to?: string
  }
  const toComer = (...names: readonly string[]) => names.map((task) => [task, 'comer'])

  test('with those that lack least first, and by name', () => {
    expect(plan({ acceptableLag: 10 }, { most: 3 })).toEqual(toComer('a', 'b', 'c'))
    expect(plan({ acceptableLag: 10 })).toEqual(toComer(...tasks))
    // What is held goes first, even if more of it is missing.
    expect(plan({ warm: { e: 1, d: 2 }, acceptableLag: 10 }, { most: 3 })).toEqual(toComer('d', 'e', 'a'))
    expect(plan({ warm: { a: 0, b: 100, c: 200 }, acceptableLag: 10 }, { most: 3 })).toEqual(toComer('a', 'b', 'c'))
  })

  test('without those that are where they belong, or need no copy', () => {
    expect(plan({ acceptableLag: 10 }, { to: 'owner' })).toEqual([])
    expect(plan({ acceptableLag: 1000 })).toEqual(toComer('b', 'c', 'd', 'e'))
    expect(plan({})).toEqual([])
    // One that needs none but has one keeps it.
    expect(plan({ warm: { c: 1 } })).toEqual(toComer('c'))
  })

  test('without counting standbys, and copies that wait to move', () => {
    const comer = { warm: { c: 1200, d: 5 }, caughtUp: ['c'], acceptableLag: 10 }
    expect(plan(comer, { most: 1 })).toEqual(toComer('c', 'd'))
    expect(plan(comer, { most: 1, standbys: { d: ['x', 'comer'], e: ['x'] } })).toEqual(toComer('c', 'd', 'a'))
    expect(plan(comer, { most: 0 })).toEqual(toComer('c'))
  })
})
