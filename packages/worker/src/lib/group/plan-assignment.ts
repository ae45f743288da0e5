import { taskId } from '../tasks/task-id.ts'
import { planStandbys, Warmth } from './plan-standbys.ts'
import type { PlannedMember } from './planned-member.ts'

/** Tasks of one partition count, and who can run them. */
interface TaskGroup {
  readonly partitions: number
  /** What the tasks consist of, for the members that get them. */
  readonly topics: readonly string[]
  readonly members: readonly string[]
  /** Warm copies wanted of each task. */
  readonly standbys: number
}

export interface AssignmentPlan {
  /** Task id to member id. */
  readonly owners: ReadonlyMap<string, string>
  /** Task id to the members that keep warm copies of it, the first choice first. */
  readonly standbys: ReadonlyMap<string, readonly string[]>
  /** Topics of the tasks of each partition count. */
  readonly topics: ReadonlyMap<number, readonly string[]>
  /** Ids of tasks of which some topic or table is run by nobody. */
  readonly unassigned: readonly string[]
}

/**
 * Who runs which task: as even as can be (to within one where all members know all topics), and with as few moves from
 * what members have as that allows. The order of members and topics has no influence.
 */
export function planAssignment(members: readonly PlannedMember[]): AssignmentPlan {
  const sorted = members.toSorted((a, b) => compare(a.id, b.id))
  const warmth = new Warmth(sorted)
  const placement = new Placement(
    sorted.map((member) => member.id),
    warmth,
  )
  const topics = new Map<number, readonly string[]>()
  const unassigned: string[] = []
  const claims = claimsOf(sorted)
  const groups = [...new Set(sorted.flatMap((member) => [...member.data.groups.keys()]))].toSorted((a, b) => a - b)
  for (const partitions of groups) {
    const { group, complete } = groupOf(partitions, sorted)
    topics.set(partitions, group.topics)
    placement.addGroup(group)
    for (let partition = 0; partition < partitions; partition++) {
      const id = taskId(partitions, partition)
      if (!complete) unassigned.push(id)
      const owner = claims.get(id)
      if (owner !== undefined && group.members.includes(owner)) placement.give(partitions, partition, owner)
    }
  }
  placement.giveRest()
  placement.balance()
  const owners = placement.owners()
  return { owners, standbys: planStandbys(placement.groups, { owners, before: claims, warmth }), topics, unassigned }
}

/** Of two that claim a task the one with the later generation has it. */
function claimsOf(members: readonly PlannedMember[]): ReadonlyMap<string, string> {
  const claims = new Map<string, { readonly id: string; readonly generation: number }>()
  for (const { id, data } of members)
    for (const task of data.tasks) {
      const other = claims.get(task)
      if (other === undefined || data.generation > other.generation)
        claims.set(task, { id, generation: data.generation })
    }
  return new Map([...claims].map(([task, claim]) => [task, claim.id]))
}

/**
 * A task needs members that know all of its topics and tables. Where versions differ so that none knows all, those who
 * know most get it, rather than nobody; what they do not know is reported.
 */
function groupOf(
  partitions: number,
  members: readonly PlannedMember[],
): { readonly group: TaskGroup; readonly complete: boolean } {
  const all = new Set<string>()
  const bySet = new Map<
    string,
    { readonly topics: readonly string[]; readonly size: number; readonly members: string[] }
  >()
  for (const { id, data } of members) {
    const topology = data.groups.get(partitions)
    if (topology === undefined) continue
    const topics = topology.topics.toSorted(compare)
    const known = [
      ...topics.map((topic) => `topic ${topic}`),
      ...topology.parts.toSorted(compare).map((part) => `part ${part}`),
    ]
    for (const one of known) all.add(one)
    const key = known.join('\n')
    const set = bySet.get(key)
    if (set === undefined) bySet.set(key, { topics, size: known.length, members: [id] })
    else set.members.push(id)
  }
  const [, best] = [...bySet].toSorted(
    ([keyA, a], [keyB, b]) => b.size - a.size || b.members.length - a.members.length || compare(keyA, keyB),
  )[0] ?? ['', { topics: [], size: 0, members: [] }]
  const standbys = Math.max(0, ...members.map(({ data }) => data.groups.get(partitions)?.standbys ?? 0))
  return {
    group: { partitions, topics: best.topics, members: best.members, standbys },
    complete: best.size === all.size,
  }
}

/** Tasks on members, while they are being placed. */
class Placement {
  readonly #members: readonly string[]
  readonly #groups: TaskGroup[] = []
  /** Member → partition count → partitions, ascending. */
  readonly #held = new Map<string, Map<number, number[]>>()
  readonly #load = new Map<string, number>()
  readonly #taken = new Set<string>()

  readonly #warmth: Warmth

  constructor(members: readonly string[], warmth: Warmth) {
    this.#members = members
    this.#warmth = warmth
    for (const member of members) {
      this.#held.set(member, new Map())
      this.#load.set(member, 0)
    }
  }

  get groups(): readonly TaskGroup[] {
    return this.#groups
  }

  addGroup(group: TaskGroup): void {
    this.#groups.push(group)
  }

  give(partitions: number, partition: number, member: string): void {
    const held = this.#held.get(member)
    if (held === undefined) return
    const list = held.get(partitions)
    if (list === undefined) held.set(partitions, [partition])
    else list.push(partition)
    this.#load.set(member, this.#loadOf(member) + 1)
    this.#taken.add(taskId(partitions, partition))
  }

  /** To members that have a copy of the task's state, if there are any. */
  giveRest(): void {
    for (const group of this.#groups) {
      if (group.members.length === 0) continue
      for (let partition = 0; partition < group.partitions; partition++) {
        const id = taskId(group.partitions, partition)
        if (this.#taken.has(id)) continue
        const warm = this.#warmth.warmest(id).filter((member) => group.members.includes(member))
        this.give(group.partitions, partition, this.#leastLoaded(group, warm.length > 0 ? warm : group.members))
      }
    }
  }

  /** Moves tasks from members with more to members with at least two fewer, along a chain if it must be, until there are none. */
  balance(): void {
    for (;;) {
      const chain = this.#chain()
      if (chain === undefined) return
      for (const { from, to, partitions } of chain) this.#move(partitions, from, to)
    }
  }

  owners(): ReadonlyMap<string, string> {
    const owners = new Map<string, string>()
    for (const member of this.#members)
      for (const [partitions, list] of this.#held.get(member) ?? [])
        for (const partition of list) owners.set(taskId(partitions, partition), member)
    return owners
  }

  #loadOf(member: string): number {
    return this.#load.get(member) ?? 0
  }

  #heldOf(member: string, partitions: number): number {
    return this.#held.get(member)?.get(partitions)?.length ?? 0
  }

  #leastLoaded(group: TaskGroup, members: readonly string[]): string {
    return members.reduce((best, member) => {
      const difference =
        this.#loadOf(member) - this.#loadOf(best) ||
        this.#heldOf(member, group.partitions) - this.#heldOf(best, group.partitions)
      return difference < 0 ? member : best
    })
  }

  #move(partitions: number, from: string, to: string): void {
    const list = this.#held.get(from)?.get(partitions)
    if (list === undefined || list.length === 0) return
    const warm = list.findLastIndex((one) => this.#warmth.has(taskId(partitions, one), to))
    const [partition] = list.splice(warm >= 0 ? warm : list.length - 1, 1)
    if (partition === undefined) return
    this.#load.set(from, this.#loadOf(from) - 1)
    this.give(partitions, partition, to)
  }

  /** The moves that take one task off a most loaded member and end at one with at least two fewer. */
  #chain(): readonly Move[] | undefined {
    const byLoad = this.#members.toSorted((a, b) => this.#loadOf(b) - this.#loadOf(a))
    const lightest = this.#loadOf(byLoad.at(-1) ?? '')
    for (const start of byLoad) {
      if (this.#loadOf(start) - lightest < 2) return undefined
      const chain = this.#chainFrom(start)
      if (chain !== undefined) return chain
    }
    return undefined
  }

  #chainFrom(start: string): readonly Move[] | undefined {
    const cameBy = new Map<string, Move | undefined>([[start, undefined]])
    let edge: readonly string[] = [start]
    while (edge.length > 0) {
      const reached = edge
        .flatMap((from) => this.#movesFrom(from))
        .filter((move) => {
          if (cameBy.has(move.to)) return false
          cameBy.set(move.to, move)
          return true
        })
      const end = reached
        .filter((move) => this.#loadOf(start) - this.#loadOf(move.to) >= 2)
        .reduce<Move | undefined>(
          (best, move) => (best === undefined || this.#loadOf(move.to) < this.#loadOf(best.to) ? move : best),
          undefined,
        )
      if (end !== undefined) {
        const chain: Move[] = []
        for (let move: Move | undefined = end; move !== undefined; move = cameBy.get(move.from)) chain.unshift(move)
        return chain
      }
      edge = reached.map((move) => move.to)
    }
    return undefined
  }

  /** To each other member, a task of the group in which the two differ most, so that groups stay even too. */
  #movesFrom(from: string): readonly Move[] {
    return this.#members.flatMap((to) => {
      const groups = this.#groups.filter(
        ({ partitions, members }) => to !== from && members.includes(to) && this.#heldOf(from, partitions) > 0,
      )
      if (groups.length === 0) return []
      const surplus = ({ partitions }: TaskGroup): number =>
        this.#heldOf(from, partitions) - this.#heldOf(to, partitions)
      const { partitions } = groups.reduce((best, group) => (surplus(group) > surplus(best) ? group : best))
      return [{ from, to, partitions }]
    })
  }
}

interface Move {
  readonly from: string
  readonly to: string
  readonly partitions: number
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
