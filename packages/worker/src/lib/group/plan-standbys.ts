import { taskId } from '../tasks/task-id.ts'
import type { PlannedMember } from './planned-member.ts'

export interface StandbyGroup {
  readonly partitions: number
  /** Members that know all of the tasks. */
  readonly members: readonly string[]
  /** Warm copies wanted of each task. */
  readonly standbys: number
}

/** Copies within so many rows of the furthest are as good as it: what lies between is read in a moment. */
const AS_WARM_ROWS = 10_000

/** Who holds the state of tasks that it does not run, the warmest first. */
export class Warmth {
  readonly #absorbed = new Map<string, Map<string, number>>()

  constructor(members: readonly PlannedMember[]) {
    for (const { id, data } of members) for (const [task, absorbed] of data.warm) this.#of(task).set(id, absorbed)
  }

  /** Whether this member has a copy, however old. */
  has(task: string, member: string): boolean {
    return this.#absorbed.get(task)?.has(member) === true
  }

  /** Members whose copies are about as far as the furthest. */
  warmest(task: string): readonly string[] {
    const holders = [...(this.#absorbed.get(task) ?? [])]
    const furthest = Math.max(...holders.map(([, absorbed]) => absorbed))
    return holders.flatMap(([member, absorbed]) => (absorbed >= furthest - AS_WARM_ROWS ? [member] : []))
  }

  #of(task: string): Map<string, number> {
    const known = this.#absorbed.get(task)
    if (known !== undefined) return known
    const made = new Map<string, number>()
    this.#absorbed.set(task, made)
    return made
  }
}

/**
 * Who keeps warm copies of which task: never its owner, as evenly as the copies that are there already allow. Who has run
 * a task until now has its state as it was a moment ago, and is the first choice.
 */
export function planStandbys(
  groups: readonly StandbyGroup[],
  now: {
    readonly owners: ReadonlyMap<string, string>
    readonly before: ReadonlyMap<string, string>
    readonly warmth: Warmth
  },
): ReadonlyMap<string, readonly string[]> {
  const standbys = new Map<string, readonly string[]>()
  const load = new Map<string, number>()
  const loadOf = (member: string): number => load.get(member) ?? 0
  for (const { partitions, members, standbys: wanted } of groups) {
    const copies = Math.min(wanted, members.length - 1)
    if (copies <= 0) continue
    const share = Math.ceil((partitions * copies) / members.length)
    const ofGroup = new Map<string, number>()
    // Copies of one owner's tasks on many members: when it goes, they share what it had.
    const ofOwner = new Map<string, number>()
    const forOwner = (owner: string | undefined, member: string): number => ofOwner.get(`${owner}\n${member}`) ?? 0
    const fits = (member: string): boolean => (ofGroup.get(member) ?? 0) < share
    for (let partition = 0; partition < partitions; partition++) {
      const id = taskId(partitions, partition)
      const owner = now.owners.get(id)
      const rank = (member: string): number => (now.before.get(id) === member ? 0 : now.warmth.has(id, member) ? 1 : 2)
      const chosen = members
        .filter((member) => member !== owner)
        .toSorted(
          (a, b) =>
            Number(fits(b)) - Number(fits(a)) ||
            rank(a) - rank(b) ||
            forOwner(owner, a) - forOwner(owner, b) ||
            loadOf(a) - loadOf(b) ||
            (a < b ? -1 : 1),
        )
        .slice(0, copies)
      for (const member of chosen) {
        load.set(member, loadOf(member) + 1)
        ofGroup.set(member, (ofGroup.get(member) ?? 0) + 1)
        ofOwner.set(`${owner}\n${member}`, forOwner(owner, member) + 1)
      }
      standbys.set(id, chosen)
    }
  }
  return standbys
}
