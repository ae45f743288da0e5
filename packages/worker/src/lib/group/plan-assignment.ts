import { taskId } from '../environment/task-id.ts'
import { HeldState } from './held-state.ts'
import { Placement, type TaskGroup } from './placement.ts'
import { planStandbys } from './plan-standbys.ts'
import { planWarmUps } from './plan-warm-ups.ts'
import type { PlannedMember } from './member-data.ts'

export interface AssignmentPlan {
  /** Task id to member id. */
  readonly owners: ReadonlyMap<string, string>
  /** Task id to the members that keep warm copies of it, the first choice first. */
  readonly standbys: ReadonlyMap<string, readonly string[]>
  /** Task id to the member that gets it once that member has a copy of its state. */
  readonly warmUps: ReadonlyMap<string, string>
  /** Partition counts of the tasks. */
  readonly counts: readonly number[]
  /** Ids of tasks with a topic or table that no member runs. */
  readonly unassigned: readonly string[]
}

/**
 * Plans who runs which task: as evenly as possible (to within one if all members know all topics), and with as few
 * moves from the current owners as that allows. A task with an owner moves only to a member that has next to nothing of
 * its state left to read. Other members warm up first, and get it in a later plan. The order of members and topics does
 * not matter.
 */
export function planAssignment(members: readonly PlannedMember[]): AssignmentPlan {
  const sorted = members.toSorted((a, b) => compare(a.id, b.id))
  const state = new HeldState(sorted)
  const placement = new Placement(
    sorted.map((member) => member.id),
    state,
  )
  const claims = claimsOf(sorted)
  const leaving = new Set(sorted.flatMap(({ id, data }) => (data.isLeaving === true ? [id] : [])))
  const counts = [...new Set(sorted.flatMap((member) => [...member.data.groups.keys()]))].toSorted((a, b) => a - b)
  const versions = counts.map((partitions) => new Versions(partitions, sorted))
  for (const { partitions, group } of versions) {
    placement.addGroup(group)
    for (let partition = 0; partition < partitions; partition++) {
      const id = taskId(partitions, partition)
      const claimed = claims.get(id)
      const owner = claimed !== undefined && group.keepers.includes(claimed) ? claimed : undefined
      state.measure(id, { owner, members: group.keepers })
      if (owner !== undefined) placement.give(partitions, partition, owner)
    }
  }
  placement.giveRest()
  // A stopping member waits for an event of each task that it still claims; elsewhere the event would be handled again.
  const awaited = new Set([...claims].flatMap(([task, member]) => (leaving.has(member) ? [task] : [])))
  placement.balance((task, member) => !awaited.has(task) && state.isReady(task, member))
  const owners = placement.owners()
  // Balances as if every member had all the state it needs, which gives the final place of each task.
  placement.balance(() => true)
  const racks = new Map(sorted.map(({ id, data }) => [id, data.rack ?? id]))
  const standbys = planStandbys(
    versions.map((version) => ({
      ...version.group,
      areNear: (one, other) => racks.get(one) === racks.get(other),
      mayCopy: (owner, member) => !leaving.has(member) && version.covers(member, owner),
    })),
    { owners, before: claims, state },
  )
  const most = Math.max(0, ...sorted.map(({ data }) => data.warmUp?.most ?? 0))
  const warmUps = planWarmUps({ owners, wanted: placement.owners(), standbys, state, most })
  const unassigned = versions.flatMap((version) => version.lacking(owners))
  return { owners, standbys, warmUps, counts, unassigned }
}

/** If two members claim a task, the one with the later generation has it. */
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
 * What the members know of the tasks of one partition count, which differs while a new version is rolled out. Tasks go
 * to the members that know most. An owner keeps its task, whatever it lacks, until one of those members has caught up.
 * Otherwise the first worker of the new version would get everything at once, although the previous version can
 * continue.
 */
class Versions {
  readonly partitions: number
  readonly group: TaskGroup
  readonly #known = new Map<string, ReadonlySet<string>>()
  readonly #all = new Set<string>()

  constructor(partitions: number, members: readonly PlannedMember[]) {
    this.partitions = partitions
    const alike = new Map<string, { readonly size: number; readonly members: string[] }>()
    for (const { id, data } of members) {
      const topology = data.groups.get(partitions)
      if (topology === undefined) continue
      const known = [
        ...topology.topics.toSorted(compare).map((topic) => `topic ${topic}`),
        ...topology.parts.toSorted(compare).map((part) => `part ${part}`),
      ]
      for (const one of known) this.#all.add(one)
      this.#known.set(id, new Set(known))
      // A leaving member keeps the tasks for whose events it waits, and gets no others.
      if (data.isLeaving === true) continue
      const key = JSON.stringify(known)
      const others = alike.get(key)
      if (others === undefined) alike.set(key, { size: known.length, members: [id] })
      else others.members.push(id)
    }
    const [, most] = [...alike].toSorted(
      ([keyA, a], [keyB, b]) => b.size - a.size || b.members.length - a.members.length || compare(keyA, keyB),
    )[0] ?? ['', { size: 0, members: [] }]
    const standbys = Math.max(0, ...members.map(({ data }) => data.groups.get(partitions)?.standbys ?? 0))
    this.group = { partitions, members: most.members, keepers: [...this.#known.keys()], standbys }
  }

  /** Whether a member knows all that another one knows of the tasks. */
  covers(member: string, other: string): boolean {
    const known = this.#known.get(member)
    return known !== undefined && [...(this.#known.get(other) ?? [])].every((one) => known.has(one))
  }

  /** Tasks whose owner does not know all that some member knows. */
  lacking(owners: ReadonlyMap<string, string>): readonly string[] {
    return Array.from({ length: this.partitions }, (_, partition) => taskId(this.partitions, partition)).filter(
      (id) => (this.#known.get(owners.get(id) ?? '')?.size ?? 0) < this.#all.size,
    )
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
