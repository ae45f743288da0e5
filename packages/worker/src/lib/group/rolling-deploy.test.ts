import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../environment/task-id.ts'
import type { TaskTopology } from '../topics/topic-directory.ts'
import { type AssignmentPlan, planAssignment } from './plan-assignment.ts'
import type { PlannedMember } from './member-data.ts'

const SIZE = 50_000
const ACCEPTABLE = 1000
const MOST = 3

type Version = 'old' | 'new'

interface Worker {
  readonly id: string
  readonly version: Version
  readonly tasks: Set<string>
  /** Its warm copies, all read to their ends by the next rebalance. */
  readonly copies: Set<string>
}

interface Deploy {
  readonly partitions: number
  readonly workers: number
  readonly standbys: number
  /** The topics and parts that the new version adds. */
  readonly adds: { readonly topics: readonly string[]; readonly parts: readonly string[] }
  /** Whether a new worker starts before an old one stops. */
  readonly surge: boolean
}

/** A group in which a new version replaces the old one, worker by worker. */
class Rollout {
  readonly workers: Worker[] = []
  readonly #deploy: Deploy
  /** By task: the versions that have run it, in order. */
  readonly #ran = new Map<string, Version[]>()
  #generation = 0
  #started = 0

  constructor(deploy: Deploy) {
    this.#deploy = deploy
  }

  start(version: Version): void {
    this.workers.push({ id: `w${this.#started++}`, version, tasks: new Set(), copies: new Set() })
  }

  stop(version: Version): void {
    this.workers.splice(
      this.workers.findIndex((worker) => worker.version === version),
      1,
    )
  }

  has(version: Version): boolean {
    return this.workers.some((worker) => worker.version === version)
  }

  get loads(): readonly number[] {
    return this.workers.map(({ tasks }) => tasks.size)
  }

  /** Rebalances until nothing moves any more, with all copies read to their ends in between. */
  settle(): void {
    for (let round = 0; this.rebalance(); round++) expect(round).toBeLessThan(2 * this.#deploy.partitions + 2)
  }

  /** Returns true if there is something to warm up. */
  rebalance(): boolean {
    const plan = planAssignment(this.workers.map((worker) => this.#member(worker)))
    this.#check(plan)
    for (const worker of this.workers) {
      worker.tasks.clear()
      worker.copies.clear()
      for (const [task, owner] of plan.owners) if (owner === worker.id) this.#take(worker, task)
      for (const [task, holders] of plan.standbys) if (holders.includes(worker.id)) worker.copies.add(task)
      for (const [task, to] of plan.warmUps) if (to === worker.id) worker.copies.add(task)
    }
    this.#generation++
    return plan.warmUps.size > 0
  }

  #take({ version, tasks }: Worker, task: string): void {
    tasks.add(task)
    const ran = this.#ran.get(task) ?? []
    if (ran.at(-1) !== version) ran.push(version)
    this.#ran.set(task, ran)
    // A task that has begun to run with the new version does not return to the old one.
    expect(ran.join()).toMatch(/^(old|new|old,new)$/)
  }

  #check(plan: AssignmentPlan): void {
    const { partitions, standbys } = this.#deploy
    expect(plan.owners.size).toBe(partitions)
    for (const [task, id] of plan.owners) {
      const before = this.workers.find(({ tasks }) => tasks.has(task))
      const owner = this.workers.find((worker) => worker.id === id)
      if (before === undefined || before === owner) continue
      // The owner of a task keeps it until another member that knows as much has its state.
      expect(owner?.copies.has(task)).toBe(true)
      expect(owner?.version === 'old' && before.version === 'new').toBe(false)
    }
    for (const [task, holders] of plan.standbys) {
      expect(holders).not.toContain(plan.owners.get(task))
      expect(holders.length).toBeLessThanOrEqual(standbys)
      const owner = this.workers.find(({ id }) => id === plan.owners.get(task))
      if (owner?.version === 'new')
        for (const id of holders) expect(this.workers.find((worker) => worker.id === id)?.version).toBe('new')
    }
  }

  #member({ id, version, tasks, copies }: Worker): PlannedMember {
    const { adds, partitions, standbys } = this.#deploy
    const topology: TaskTopology =
      version === 'old'
        ? { topics: ['in'], parts: ['counts'], standbys }
        : { topics: ['in', ...adds.topics], parts: ['counts', ...adds.parts], standbys }
    const held = [...tasks, ...copies].map((task) => [task, SIZE] as const)
    return {
      id,
      data: {
        groups: new Map([[partitions, topology]]),
        tasks: [...tasks],
        generation: this.#generation,
        warm: new Map(held),
        warmUp: { acceptableLag: ACCEPTABLE, most: MOST, caughtUp: [...copies] },
        address: undefined,
        life: undefined,
      },
    }
  }
}

test('one new worker among four old ones takes its share of the tasks, not all of them', () => {
  const rollout = new Rollout({
    partitions: 12,
    workers: 4,
    standbys: 0,
    adds: { topics: [], parts: ['more'] },
    surge: true,
  })
  for (let i = 0; i < 4; i++) rollout.start('old')
  rollout.settle()
  rollout.start('new')
  // Nothing moves before the new worker has copies.
  rollout.rebalance()
  expect(rollout.loads).toEqual([3, 3, 3, 3, 0])
  rollout.settle()
  expect(rollout.loads.toSorted()).toEqual([2, 2, 2, 3, 3])
})

const deploys: fc.Arbitrary<Deploy> = fc.record({
  partitions: fc.integer({ min: 1, max: 24 }),
  workers: fc.integer({ min: 1, max: 6 }),
  standbys: fc.integer({ min: 0, max: 2 }),
  adds: fc.constantFrom(
    { topics: [], parts: ['more'] },
    { topics: ['more'], parts: [] },
    { topics: ['more'], parts: ['more', 'most'] },
  ),
  surge: fc.boolean(),
})

test('in a rolling deploy every task always runs, moves only to its state, never moves back, and loads end up even', () => {
  fc.assert(
    fc.property(deploys, fc.infiniteStream(fc.boolean()), (deploy, settles) => {
      const rollout = new Rollout(deploy)
      for (let i = 0; i < deploy.workers; i++) rollout.start('old')
      rollout.settle()
      const steps: readonly ('start' | 'stop')[] =
        deploy.surge || deploy.workers === 1 ? ['start', 'stop'] : ['stop', 'start']
      while (rollout.has('old'))
        for (const step of steps) {
          if (step === 'start') rollout.start('new')
          else if (rollout.has('old')) rollout.stop('old')
          // The deploy may continue before copies have caught up.
          if (settles.next().value === true) rollout.settle()
          else rollout.rebalance()
        }
      rollout.settle()
      const loads = rollout.loads
      expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)
    }),
  )
})

test('the old workers keep an even load while the deploy waits for copies', () => {
  fc.assert(
    fc.property(deploys, (deploy) => {
      const rollout = new Rollout({ ...deploy, surge: true })
      for (let i = 0; i < deploy.workers; i++) rollout.start('old')
      rollout.settle()
      const before = Math.max(...rollout.loads)
      rollout.start('new')
      rollout.settle()
      expect(Math.max(...rollout.loads)).toBeLessThanOrEqual(before)
      expect(rollout.loads.at(-1)).toBeGreaterThanOrEqual(Math.floor(deploy.partitions / (deploy.workers + 1)))
    }),
  )
})

test('a task prefers a worker of the previous version with a warm copy over one without a copy', () => {
  const topology: TaskTopology = { topics: ['in'], parts: ['counts'], standbys: 1 }
  const base = { generation: 1, address: undefined, life: undefined }
  const warmUp = { acceptableLag: ACCEPTABLE, most: MOST, caughtUp: [] as readonly string[] }
  const plan = planAssignment([
    {
      id: 'old',
      data: {
        ...base,
        groups: new Map([[2, topology]]),
        tasks: [taskId(2, 0)],
        warm: new Map([
          ['2-0', SIZE],
          ['2-1', SIZE],
        ]),
        warmUp: { ...warmUp, caughtUp: ['2-1'] },
      },
    },
    {
      id: 'new',
      data: {
        ...base,
        groups: new Map([[2, { ...topology, parts: ['counts', 'more'] }]]),
        tasks: [],
        warm: new Map(),
        warmUp,
      },
    },
  ])
  expect(plan.owners.get('2-1')).toBe('old')
  expect([...plan.warmUps.values()]).toEqual(['new'])
})
