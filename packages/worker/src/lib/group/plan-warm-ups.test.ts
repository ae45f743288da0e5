import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../environment/task-id.ts'
import type { TaskTopology } from '../topics/topic-directory.ts'
import { type AssignmentPlan, planAssignment } from './plan-assignment.ts'
import type { PlannedMember } from './member-data.ts'

const ACCEPTABLE = 100
const MOST = 2
const CUT = 150

/** A worker of a simulated group: the tasks it runs, and the state of others that it holds. */
interface Worker {
  readonly id: string
  /** An earlier version, which does not report what it runs, and makes no warm-up copies. */
  readonly isOld: boolean
  /** Keeps the state of tasks that it no longer runs. */
  readonly isDurable: boolean
  /** Partition counts of the tasks that it can run. */
  readonly knows: ReadonlySet<number>
  readonly tasks: Set<string>
  readonly copies: Map<string, number>
  readonly caughtUp: Set<string>
  /** Tasks for which it has asked for a rebalance. */
  readonly asked: Set<string>
}

interface Round {
  readonly plan: AssignmentPlan
  /** Tasks that moved between members that were present before and after. */
  readonly moved: readonly string[]
}

/** A group without clocks or brokers, with rebalances and with copies that are read in between. */
class Group {
  readonly workers: Worker[] = []
  readonly #topology: ReadonlyMap<number, TaskTopology>
  readonly #sizes: Map<string, number>
  #generation = 0
  #plan: AssignmentPlan = planAssignment([])

  constructor(topology: ReadonlyMap<number, TaskTopology>, sizes: ReadonlyMap<string, number>) {
    this.#topology = topology
    this.#sizes = new Map(sizes)
  }

  join(
    id: string,
    kind: { readonly isOld: boolean; readonly isDurable: boolean; readonly knows?: (count: number) => boolean },
  ): void {
    const knows = new Set([...this.#topology.keys()].filter(kind.knows ?? (() => true)))
    this.workers.push({
      id,
      ...kind,
      knows,
      tasks: new Set(),
      copies: new Map(),
      caughtUp: new Set(),
      asked: new Set(),
    })
  }

  leave(at: number): void {
    this.workers.splice(at, 1)
  }

  rebalance(): Round {
    // A commit before the rebalance adds rows that copies have not read when they join: more than is acceptable.
    for (const [task, size] of this.#sizes) if (size > CUT) this.#sizes.set(task, size + CUT)
    const members = this.workers.map((worker) => this.#member(worker))
    const before = ownersOf(this.workers)
    const plan = planAssignment(members)
    expect(planAssignment(members.toReversed())).toEqual(plan)
    this.#plan = plan
    this.#generation++
    const moved = [...plan.owners].flatMap(([task, owner]) => ((before.get(task) ?? owner) === owner ? [] : [task]))
    this.#check(plan, moved)
    for (const worker of this.workers) this.#apply(worker, plan)
    return { plan, moved }
  }

  /**
   * Each warm-up copy reads as much as `read` returns. Returns true if one has thereby caught up, which the group
   * learns.
   */
  warmUp(read: (task: string) => number): boolean {
    let asks = false
    for (const [task, id] of this.#plan.warmUps) {
      const worker = this.workers.find((one) => one.id === id)
      if (worker === undefined) continue
      const size = this.#sizeOf(task)
      const absorbed = Math.min(size, (worker.copies.get(task) ?? 0) + read(task))
      worker.copies.set(task, absorbed)
      if (size - absorbed <= ACCEPTABLE) worker.caughtUp.add(task)
      if (!worker.caughtUp.has(task) || worker.asked.has(task)) continue
      worker.asked.add(task)
      asks = true
    }
    return asks
  }

  get loads(): readonly number[] {
    return this.workers.map(({ tasks }) => tasks.size)
  }

  #check(plan: AssignmentPlan, moved: readonly string[]): void {
    const known = new Set(this.workers.flatMap(({ knows }) => [...knows]))
    expect(plan.owners.size).toBe([...known].reduce((sum, partitions) => sum + partitions, 0))
    const worker = (id: string | undefined): Worker | undefined => this.workers.find((one) => one.id === id)
    for (const [task, to] of plan.warmUps) expect(plan.owners.get(task)).not.toBe(to)
    const before = ownersOf(this.workers)
    const underWay = [...plan.warmUps].filter(([task, to]) => {
      const [owner, holder] = [worker(before.get(task)), worker(to)]
      // An earlier version does not report its state, and makes no copies.
      if (owner?.isOld !== false || holder?.isOld !== false || plan.standbys.get(task)?.includes(to) === true)
        return false
      const isReady = holder.tasks.has(task) || holder.caughtUp.has(task)
      return !isReady && this.#sizeOf(task) - (holder.copies.get(task) ?? 0) > ACCEPTABLE
    })
    expect(underWay.length).toBeLessThanOrEqual(MOST)
    for (const task of moved) {
      const [from, to] = [worker(before.get(task)), worker(plan.owners.get(task))]
      if (from?.isOld === true || to?.isOld === true) continue
      const lag = this.#sizeOf(task) - (to?.copies.get(task) ?? 0)
      expect(lag <= ACCEPTABLE || to?.caughtUp.has(task)).toBe(true)
    }
  }

  #member({ id, isOld, knows, tasks, copies, caughtUp }: Worker): PlannedMember {
    const groups = new Map([...this.#topology].filter(([count]) => knows.has(count)))
    const own = [...tasks].map((task) => [task, this.#sizeOf(task)] as const)
    const warm = new Map([...(isOld ? [] : own), ...copies])
    const generation = this.#generation
    const data = { groups, tasks: [...tasks], generation, warm, address: undefined, life: undefined }
    const warmUp = { acceptableLag: ACCEPTABLE, most: MOST, caughtUp: [...caughtUp] }
    return { id, data: isOld ? data : { ...data, warmUp } }
  }

  #apply({ id, isOld, isDurable, tasks, copies, caughtUp, asked }: Worker, plan: AssignmentPlan): void {
    for (const task of tasks) copies.set(task, this.#sizeOf(task))
    tasks.clear()
    for (const [task, owner] of plan.owners) if (owner === id) tasks.add(task)
    const kept = new Set<string>()
    for (const [task, holders] of plan.standbys) if (holders.includes(id)) kept.add(task)
    // Standbys are read at once, so that their state does not affect the test.
    for (const task of kept) {
      copies.set(task, this.#sizeOf(task))
      caughtUp.add(task)
    }
    if (!isOld) for (const [task, to] of plan.warmUps) if (to === id) kept.add(task)
    for (const task of copies.keys()) if (tasks.has(task) || !(isDurable || kept.has(task))) copies.delete(task)
    for (const task of caughtUp) if (!kept.has(task)) caughtUp.delete(task)
    for (const task of asked) if (plan.warmUps.get(task) !== id) asked.delete(task)
  }

  #sizeOf(task: string): number {
    return this.#sizes.get(task) ?? 0
  }
}

function ownersOf(workers: readonly Worker[]): ReadonlyMap<string, string> {
  return new Map(workers.flatMap(({ id, tasks }) => [...tasks].map((task) => [task, id] as const)))
}

/** Partition counts with the wanted copies, and the changelog size of each task. */
const world = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 }),
    fc.integer({ min: 0, max: 2 }),
    fc.infiniteStream(fc.constantFrom(0, 50, 5000, 80_000)),
  )
  .map(([counts, standbys, random]) => ({
    topology: new Map(
      counts.map((count) => [count, { topics: [`t${count}`], parts: ['x'], ...(standbys === 0 ? {} : { standbys }) }]),
    ),
    sizes: new Map(
      counts.flatMap((count) =>
        Array.from({ length: count }, (_, partition) => [taskId(count, partition), random.next().value ?? 0] as const),
      ),
    ),
  }))

const kind = fc.record({ isOld: fc.boolean(), isDurable: fc.boolean() })
const happening = fc.oneof(
  { weight: 2, arbitrary: kind.map((one) => ({ ...one, type: 'join' as const })) },
  { weight: 1, arbitrary: fc.nat().map((nth) => ({ type: 'leave' as const, nth })) },
)

/** Continues until no copy has anything left to read. Returns the rebalances that were asked for. */
function settle(group: Group, read: () => number): readonly Round[] {
  const rounds: Round[] = []
  for (let quiet = 0; quiet < 200 && rounds.length < 200; quiet++) {
    if (!group.warmUp(read)) continue
    rounds.push(group.rebalance())
    quiet = 0
  }
  return rounds
}

test('under joins and leaves the load becomes even, no task moves to a member without its state, and each requested rebalance moves a task', () => {
  fc.assert(
    fc.property(
      world,
      fc.array(happening, { minLength: 1, maxLength: 8 }),
      fc.infiniteStream(fc.constantFrom(0, 1000, 20_000)),
      ({ topology, sizes }, happenings, random) => {
        const group = new Group(topology, sizes)
        group.join('first', { isOld: false, isDurable: false })
        group.rebalance()
        happenings.forEach((happened, i) => {
          if (happened.type === 'join') group.join(`m${i}`, happened)
          else if (group.workers.length > 1) group.leave(happened.nth % group.workers.length)
          group.rebalance()
          // Another member may come before the copies have caught up.
          for (let turn = random.next().value ?? 0; turn > 0; turn -= 1000)
            if (group.warmUp(() => random.next().value ?? 0)) expect(group.rebalance().moved.length).toBeGreaterThan(0)
        })
        const rounds = settle(group, () => Math.max(100, random.next().value ?? 0))
        for (const { moved } of rounds) expect(moved.length).toBeGreaterThan(0)
        expect(rounds.length).toBeLessThanOrEqual(sizes.size)
        expect(Math.max(...group.loads) - Math.min(...group.loads)).toBeLessThanOrEqual(1)
        const last = group.rebalance()
        expect(last.moved).toEqual([])
        expect(last.plan.warmUps.size).toBe(0)
      },
    ),
    { numRuns: 150 },
  )
})

test('planning terminates even if members can run only some tasks and several must move together', () => {
  fc.assert(
    fc.property(
      world,
      fc.array(fc.tuple(kind, fc.integer({ min: 1, max: 7 })), { minLength: 2, maxLength: 7 }),
      fc.infiniteStream(fc.constantFrom(100, 1000, 20_000)),
      ({ topology, sizes }, joining, random) => {
        const group = new Group(topology, sizes)
        const counts = [...topology.keys()]
        joining.forEach(([one, bits], i) => {
          group.join(`m${i}`, { ...one, knows: (count) => ((bits >> counts.indexOf(count)) & 1) === 1 })
          group.rebalance()
          if (group.warmUp(() => random.next().value ?? 0)) group.rebalance()
        })
        expect(settle(group, () => random.next().value ?? 0).length).toBeLessThanOrEqual(2 * sizes.size)
        const last = group.rebalance()
        expect(last.moved).toEqual([])
        expect(last.plan.warmUps.size).toBe(0)
      },
    ),
    { numRuns: 300 },
  )
})

test('a copy under way continues even if that of another task would be read sooner', () => {
  const groups = new Map([[4, { topics: ['t'], parts: ['x'] }]])
  const rest = { groups, generation: 1, address: undefined, life: undefined }
  const warmUp = { acceptableLag: ACCEPTABLE, most: 1, caughtUp: [] }
  const whole = { '4-0': 2000, '4-1': 1_000_000, '4-2': 2000, '4-3': 3000 }
  const warm = new Map(Object.entries(whole))
  const { warmUps } = planAssignment([
    { id: 'a', data: { ...rest, tasks: [...warm.keys()], warm, warmUp } },
    { id: 'b', data: { ...rest, tasks: [], warm: new Map([['4-1', 10]]), warmUp } },
  ])
  expect(warmUps).toEqual(new Map([['4-1', 'b']]))
})

test('copies under way continue through an unrelated rebalance', () => {
  fc.assert(
    fc.property(
      world,
      fc.array(kind, { minLength: 1, maxLength: 4 }),
      fc.infiniteStream(fc.nat({ max: 2000 })),
      (...all) => {
        const [{ topology, sizes }, joining, random] = all
        // A standby that has caught up meanwhile would be a reason for a move.
        fc.pre([...topology.values()].every(({ standbys }) => standbys === undefined))
        const group = new Group(topology, sizes)
        group.join('first', { isOld: false, isDurable: false })
        group.rebalance()
        joining.forEach(({ isDurable }, i) => group.join(`m${i}`, { isOld: false, isDurable }))
        const { plan } = group.rebalance()
        if (group.warmUp(() => random.next().value ?? 0)) return
        const next = group.rebalance()
        expect(next.moved).toEqual([])
        for (const [task, to] of plan.warmUps)
          if (group.workers.some(({ id, copies }) => id === to && copies.has(task)))
            expect(next.plan.warmUps.get(task)).toBe(to)
      },
    ),
  )
})

test('a copy that has caught up is kept if its task can move only together with another one', () => {
  const topic = (name: string): TaskTopology => ({ topics: [name], parts: [name] })
  const [left, right] = [topic('left'), topic('right')]
  const warm = (...tasks: readonly string[]): ReadonlyMap<string, number> => new Map(tasks.map((task) => [task, 5000]))
  const member = (
    id: string,
    groups: ReadonlyMap<number, TaskTopology>,
    { tasks, caughtUp = [] }: { readonly tasks: readonly string[]; readonly caughtUp?: readonly string[] },
  ): PlannedMember => {
    const warmUp = { acceptableLag: ACCEPTABLE, most: MOST, caughtUp }
    const holds = warm(...tasks, ...caughtUp)
    return { id, data: { groups, tasks, generation: 1, warm: holds, warmUp, address: undefined, life: undefined } }
  }
  // The loads are 4, 3 and 2, and only two moves together make them even.
  const a = member('a', new Map([[4, left]]), { tasks: ['4-0', '4-1', '4-2', '4-3'] })
  const groups = new Map([
    [4, left],
    [5, right],
  ])
  const b = (caughtUp: readonly string[]): PlannedMember =>
    member('b', groups, { tasks: ['5-0', '5-1', '5-2'], caughtUp })
  const c = (caughtUp: readonly string[]): PlannedMember =>
    member('c', new Map([[5, right]]), { tasks: ['5-3', '5-4'], caughtUp })
  const warmUps = new Map([
    ['4-3', 'b'],
    ['5-2', 'c'],
  ])
  expect(planAssignment([a, b([]), c([])]).warmUps).toEqual(warmUps)
  expect(planAssignment([a, b([]), c(['5-2'])]).warmUps).toEqual(warmUps)
  const moved = planAssignment([a, b(['4-3']), c(['5-2'])])
  expect(moved.warmUps.size).toBe(0)
  expect([moved.owners.get('4-3'), moved.owners.get('5-2')]).toEqual(['b', 'c'])
})
