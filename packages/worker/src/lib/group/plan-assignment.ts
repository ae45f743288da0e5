import { taskId } from '../tasks/task-id.ts'
import { HeldState } from './held-state.ts'
import { Placement, type TaskGroup } from './placement.ts'
import { planStandbys } from './plan-standbys.ts'
import { planWarmUps } from './plan-warm-ups.ts'
import type { PlannedMember } from './planned-member.ts'

export interface AssignmentPlan {
  /** Task id to member id. */
  readonly owners: ReadonlyMap<string, string>
  /** Task id to the members that keep warm copies of it, the first choice first. */
  readonly standbys: ReadonlyMap<string, readonly string[]>
  /** Task id to the member that is to have it, once it has a copy of its state. */
  readonly warmUps: ReadonlyMap<string, string>
  /** Topics of the tasks of each partition count. */
  readonly topics: ReadonlyMap<number, readonly string[]>
  /** Ids of tasks of which some topic or table is run by nobody. */
  readonly unassigned: readonly string[]
}

/**
 * Who runs which task: as even as can be (to within one where all members know all topics), and with as few moves from
 * what members have as that allows. A task that has an owner moves only to a member that has next to nothing of its state
 * to read; the others warm up first, and have it in a later plan. The order of members and topics has no influence.
 */
export function planAssignment(members: readonly PlannedMember[]): AssignmentPlan {
  const sorted = members.toSorted((a, b) => compare(a.id, b.id))
  const state = new HeldState(sorted)
  const placement = new Placement(
    sorted.map((member) => member.id),
    state,
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
      const claimed = claims.get(id)
      const owner = claimed !== undefined && group.members.includes(claimed) ? claimed : undefined
      state.measure(id, { owner, members: group.members })
      if (owner !== undefined) placement.give(partitions, partition, owner)
    }
  }
  placement.giveRest()
  placement.balance((task, member) => state.isReady(task, member))
  const owners = placement.owners()
  // As if all had all they need: where tasks should be in the end.
  placement.balance(() => true)
  const standbys = planStandbys(placement.groups, { owners, before: claims, state })
  const most = Math.max(0, ...sorted.map(({ data }) => data.warmUp?.most ?? 0))
  const warmUps = planWarmUps({ owners, wanted: placement.owners(), standbys, state, most })
  return { owners, standbys, warmUps, topics, unassigned }
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

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
