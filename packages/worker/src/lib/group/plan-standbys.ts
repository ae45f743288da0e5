import { taskId } from '../environment/task-id.ts'
import type { HeldState } from './held-state.ts'

export interface StandbyGroup {
  readonly partitions: number
  /** Members that run such tasks. */
  readonly keepers: readonly string[]
  /** How many warm copies each task should have. */
  readonly standbys: number
  /** Whether a member knows everything that the owner knows, so that it could replace it. */
  readonly mayCopy: (owner: string, member: string) => boolean
  /** Whether two members may be lost together. */
  readonly areNear: (one: string, other: string) => boolean
}

/**
 * Plans who keeps warm copies of which task: never its owner, not near it as long as others are left, and as evenly as the
 * existing copies allow. The previous owner of a task is the first choice, because its state is almost current.
 */
export function planStandbys(
  groups: readonly StandbyGroup[],
  now: {
    readonly owners: ReadonlyMap<string, string>
    readonly before: ReadonlyMap<string, string>
    readonly state: HeldState
  },
): ReadonlyMap<string, readonly string[]> {
  const standbys = new Map<string, readonly string[]>()
  const load = new Map<string, number>()
  const loadOf = (member: string): number => load.get(member) ?? 0
  for (const { partitions, keepers, standbys: wanted, mayCopy, areNear } of groups) {
    const copies = Math.min(wanted, keepers.length - 1)
    if (copies <= 0) continue
    const share = Math.ceil((partitions * copies) / keepers.length)
    const ofGroup = new Map<string, number>()
    // Spreads the copies of one owner's tasks over many members, which share its tasks when it goes.
    const ofOwner = new Map<string, number>()
    const forOwner = (owner: string, member: string): number => ofOwner.get(`${owner}\n${member}`) ?? 0
    const fits = (member: string): boolean => (ofGroup.get(member) ?? 0) < share
    for (let partition = 0; partition < partitions; partition++) {
      const id = taskId(partitions, partition)
      const owner = now.owners.get(id)
      const rank = (member: string): number => {
        if (now.before.get(id) === member) return 0
        return now.state.isWarm(id, member) ? 1 : now.state.holds(id, member) ? 2 : 3
      }
      if (owner === undefined) continue
      const chosen = keepers
        .filter((member) => member !== owner && mayCopy(owner, member))
        .toSorted(
          (a, b) =>
            Number(areNear(owner, a)) - Number(areNear(owner, b)) ||
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
      if (chosen.length > 0) standbys.set(id, chosen)
    }
  }
  return standbys
}
