import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../environment/task-id.ts'
import type { TaskTopology } from '../topics/topic-directory.ts'
import { type AssignmentPlan, planAssignment } from './plan-assignment.ts'
import type { PlannedMember } from './member-data.ts'

function member(
  id: string,
  groups: ReadonlyMap<number, TaskTopology>,
  tasks: readonly string[] = [],
  generation = 0,
): PlannedMember {
  return { id, data: { groups, tasks, generation, warm: new Map(), address: undefined, life: undefined } }
}

/** The members as they join the next rebalance, each with what it was given. */
function after(members: readonly PlannedMember[], plan: AssignmentPlan): PlannedMember[] {
  return members.map(({ id, data }) => ({
    id,
    data: {
      ...data,
      tasks: [...plan.owners].filter(([, owner]) => owner === id).map(([task]) => task),
      generation: data.generation + 1,
    },
  }))
}

function loads(members: readonly PlannedMember[], plan: AssignmentPlan): number[] {
  return members.map(({ id }) => [...plan.owners.values()].filter((owner) => owner === id).length)
}

const topologies = fc
  .uniqueArray(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 4 })
  .map((counts) => new Map(counts.map((count) => [count, { topics: [`t${count}`], parts: [] }])))

const group = fc
  .tuple(topologies, fc.integer({ min: 1, max: 9 }))
  .map(([topology, size]) => Array.from({ length: size }, (_, i) => member(`m${i}`, topology)))

test('every task has one owner, loads differ by one at most, the order of members does not matter', () => {
  fc.assert(
    fc.property(group, fc.infiniteStream(fc.nat()), (members, random) => {
      const plan = planAssignment(members)
      const total = plan.counts.reduce((sum, partitions) => sum + partitions, 0)
      expect(plan.owners.size).toBe(total)
      const counts = loads(members, plan)
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      const shuffled = members
        .map((one) => ({ one, at: random.next().value ?? 0 }))
        .sort((a, b) => a.at - b.at)
        .map(({ one }) => one)
      expect(planAssignment(shuffled)).toEqual(plan)
      expect(plan.unassigned).toEqual([])
    }),
  )
})

test('nothing moves without a change; a new member takes only its share; only the tasks of a leaving member move', () => {
  fc.assert(
    fc.property(group, (members) => {
      const first = planAssignment(members)
      const settled = after(members, first)
      expect(planAssignment(settled).owners).toEqual(first.owners)

      const grown = [...settled, member('new', settled[0]?.data.groups ?? new Map())]
      const second = planAssignment(grown)
      const moved = [...second.owners].filter(([task, owner]) => first.owners.get(task) !== owner)
      expect(moved.every(([, owner]) => owner === 'new')).toBe(true)
      expect(moved.length).toBeLessThanOrEqual(Math.ceil(first.owners.size / grown.length))
      const counts = loads(grown, second)
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)

      const shrunk = after(grown, second).slice(1)
      if (shrunk.length === 0) return
      const third = planAssignment(shrunk)
      for (const [task, owner] of third.owners)
        if (second.owners.get(task) !== 'm0') expect(owner).toBe(second.owners.get(task))
    }),
  )
})

test('if members of several versions start together, tasks go only to those that know most, and every task runs', () => {
  fc.assert(
    fc.property(
      fc.array(fc.subarray(['a', 'b', 'c', 'd']), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 12 }),
      (known, partitions) => {
        const members = known.map((topics, i) =>
          member(`m${i}`, topics.length === 0 ? new Map() : new Map([[partitions, { topics, parts: [] }]])),
        )
        const plan = planAssignment(members)
        const all = new Set(known.flat())
        expect(plan.owners.size).toBe(all.size === 0 ? 0 : partitions)
        if (all.size === 0) return
        const some = members.some(({ data }) => data.groups.get(partitions)?.topics.length === all.size)
        const most = Math.max(...known.map((topics) => topics.length))
        for (const owner of plan.owners.values())
          expect(members.find(({ id }) => id === owner)?.data.groups.get(partitions)?.topics.length).toBe(most)
        expect(plan.unassigned.length).toBe(some ? 0 : partitions)
      },
    ),
  )
})

test('members that can run different groups are balanced along chains', () => {
  const only = (...counts: number[]): ReadonlyMap<number, TaskTopology> =>
    new Map(counts.map((count) => [count, { topics: [`t${count}`], parts: [] }]))
  // m0 can run only the group of 6, m1 both, and m2 only the group of 1.
  const plan = planAssignment([member('m0', only(6)), member('m1', only(6, 1)), member('m2', only(1))])
  expect(loads([member('m0', only(6)), member('m1', only(6, 1)), member('m2', only(1))], plan)).toEqual([3, 3, 1])
})

test('a task without an owner goes only to members that know all of it', () => {
  const old = new Map([[4, { topics: ['a'], parts: ['x'] }]])
  const next = new Map([[4, { topics: ['a'], parts: ['x', 'y'] }]])
  const plan = planAssignment([member('m0', old, [taskId(4, 0)]), member('m1', old), member('m2', next)])
  expect([...plan.owners]).toEqual([
    ['4-0', 'm0'],
    ['4-1', 'm2'],
    ['4-2', 'm2'],
    ['4-3', 'm2'],
  ])
  // No member runs the new table together with what the previous version has kept.
  expect(plan.unassigned).toEqual(['4-0'])
})

test('of two members that claim a task the later generation keeps it; a member that holds its state is preferred', () => {
  const topology = new Map([[2, { topics: ['a'], parts: [] }]])
  const claimed = planAssignment([member('m0', topology, ['2-0'], 3), member('m1', topology, ['2-0'], 4)])
  expect(claimed.owners.get('2-0')).toBe('m1')
  const cold = member('m0', topology)
  const warm = member('m1', topology)
  const preferred = planAssignment([cold, { id: 'm1', data: { ...warm.data, warm: new Map([['2-1', 7]]) } }])
  expect(preferred.owners.get('2-1')).toBe('m1')
})

test('warm copies are never with the owner, as many as wanted, evenly spread, and stay in place', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 24 }),
      fc.integer({ min: 0, max: 3 }),
      (size, partitions, standbys) => {
        const topology = new Map([[partitions, { topics: ['t'], parts: ['x'], standbys }]])
        const members = Array.from({ length: size }, (_, i) => member(`m${i}`, topology))
        const plan = planAssignment(members)
        const copies = Math.min(standbys, size - 1)
        expect(plan.standbys.size).toBe(copies === 0 ? 0 : partitions)
        for (const [task, holders] of plan.standbys) {
          expect(holders.length).toBe(copies)
          expect(new Set(holders).size).toBe(copies)
          expect(holders).not.toContain(plan.owners.get(task))
        }
        const kept = members.map(
          ({ id }) => [...plan.standbys.values()].filter((holders) => holders.includes(id)).length,
        )
        if (copies > 0) expect(Math.max(...kept)).toBeLessThanOrEqual(Math.ceil((partitions * copies) / size) + copies)
        const next = planAssignment(withCopies(after(members, plan), plan))
        expect(next.owners).toEqual(plan.owners)
        for (const [task, holders] of next.standbys)
          expect(holders.toSorted()).toEqual(plan.standbys.get(task)?.toSorted())
      },
    ),
  )
})

test('a warm copy is on another machine than its owner, if there is one', () => {
  const topology = new Map([[6, { topics: ['t'], parts: ['x'], standbys: 1 }]])
  const at = (id: string, rack: string): PlannedMember => {
    const { data } = member(id, topology)
    return { id, data: { ...data, rack } }
  }
  const rackOf = (id: string | undefined): string | undefined => id?.slice(0, 1)
  const two = planAssignment(['a1', 'a2', 'b1', 'b2'].map((id) => at(id, id.slice(0, 1))))
  expect(two.standbys.size).toBe(6)
  for (const [task, [holder]] of two.standbys) expect(rackOf(holder)).not.toBe(rackOf(two.owners.get(task)))
  // Else a process that dies would leave nothing behind.
  const one = planAssignment(['a1', 'a2'].map((id) => at(id, 'a')))
  expect(one.standbys.size).toBe(6)
})

test('when a member goes, its tasks go to those that have copies', () => {
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 6 }), fc.integer({ min: 1, max: 3 }), (size, times) => {
      const partitions = size * (size - 1) * times
      const topology = new Map([[partitions, { topics: ['t'], parts: ['x'], standbys: 1 }]])
      const members = Array.from({ length: size }, (_, i) => member(`m${i}`, topology))
      const plan = planAssignment(members)
      const next = planAssignment(withCopies(after(members, plan), plan).slice(1))
      for (const [task, owner] of plan.owners)
        expect(next.owners.get(task)).toBe(owner === 'm0' ? plan.standbys.get(task)?.[0] : owner)
    }),
  )
})

test('a new member gets tasks of which it has copies', () => {
  const topology = new Map([[8, { topics: ['t'], parts: ['x'], standbys: 1 }]])
  const [one, two] = [
    member('m0', topology, ['8-0', '8-1', '8-2', '8-3', '8-4', '8-5', '8-6', '8-7'], 4),
    member('m1', topology),
  ]
  const plan = planAssignment([
    one,
    {
      ...two,
      data: {
        ...two.data,
        warm: new Map([
          ['8-1', 5],
          ['8-4', 9],
        ]),
      },
    },
  ])
  const given = [...plan.owners].filter(([, owner]) => owner === 'm1').map(([task]) => task)
  expect(given.length).toBe(4)
  expect(given).toEqual(expect.arrayContaining(['8-1', '8-4']))
})

/** The members with the copies that they were given, as they would report them. */
function withCopies(members: readonly PlannedMember[], plan: AssignmentPlan): PlannedMember[] {
  return members.map(({ id, data }) => ({
    id,
    data: {
      ...data,
      warm: new Map([...plan.standbys].filter(([, holders]) => holders.includes(id)).map(([task]) => [task, 100])),
    },
  }))
}

test('a leaving member keeps the tasks that it claims and gets no others; if it is alone, the others have no owner', () => {
  const topology = new Map([[8, { topics: ['t'], parts: [] }]])
  const leaving = ({ id, data }: PlannedMember): PlannedMember => ({ id, data: { ...data, isLeaving: true } })
  const busy = leaving(member('a', topology, ['8-1', '8-5'], 3))
  const plan = planAssignment([busy, member('b', topology, ['8-2'], 3), member('c', topology)])
  expect([...plan.owners].filter(([, owner]) => owner === 'a').map(([task]) => task)).toEqual(['8-1', '8-5'])
  expect(plan.owners.size).toBe(8)
  const alone = planAssignment([busy])
  expect([...alone.owners.keys()]).toEqual(['8-1', '8-5'])
  expect(alone.unassigned).toHaveLength(6)
  // Its load is not balanced either, because the events for which it waits would be handled again elsewhere.
  const most = ['8-0', '8-1', '8-2', '8-3', '8-4', '8-5', '8-6']
  const uneven = planAssignment([leaving(member('a', topology, most, 3)), member('b', topology), member('c', topology)])
  expect([...uneven.owners].filter(([, owner]) => owner === 'a').map(([task]) => task)).toEqual(most)
})
