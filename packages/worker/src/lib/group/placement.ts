import { taskId } from '../environment/task-id.ts'
import type { HeldState } from './held-state.ts'

/** The tasks of one partition count, and the members that can run them. */
export interface TaskGroup {
  readonly partitions: number
  /** Members that may get such tasks. */
  readonly members: readonly string[]
  /** Members that may keep the tasks they have; includes `members`. */
  readonly keepers: readonly string[]
  /** How many warm copies each task should have. */
  readonly standbys: number
}

interface Move {
  readonly from: string
  readonly to: string
  readonly partitions: number
}

/** Whether a task may go to a member. */
type MayMove = (task: string, to: string) => boolean

/** The tasks of members while they are being placed. */
export class Placement {
  readonly #members: readonly string[]
  readonly #groups: TaskGroup[] = []
  /** Member → partition count → partitions, in the order in which they were placed. */
  readonly #held = new Map<string, Map<number, number[]>>()
  readonly #load = new Map<string, number>()
  readonly #taken = new Set<string>()

  readonly #state: HeldState

  constructor(members: readonly string[], state: HeldState) {
    this.#members = members
    this.#state = state
    for (const member of members) {
      this.#held.set(member, new Map())
      this.#load.set(member, 0)
    }
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

  /**
   * Gives a task to members that have a copy of its state, if there are any. A copy that was kept warm proves that the
   * member knows everything its previous owner knew.
   */
  giveRest(): void {
    for (const group of this.#groups) {
      if (group.members.length === 0) continue
      for (let partition = 0; partition < group.partitions; partition++) {
        const id = taskId(group.partitions, partition)
        if (this.#taken.has(id)) continue
        const warm = group.members.filter((member) => this.#state.isWarm(id, member))
        const kept = warm.length > 0 ? warm : group.keepers.filter((member) => this.#state.hasCaughtUp(id, member))
        this.give(group.partitions, partition, this.#leastLoaded(group, kept.length > 0 ? kept : group.members))
      }
    }
  }

  /**
   * Moves tasks from members with more to members with at least two fewer, along a chain if necessary, until no such
   * pair is left.
   */
  balance(mayMove: MayMove): void {
    for (;;) {
      const chain = this.#chain(mayMove)
      if (chain === undefined) return
      for (const move of chain) this.#move(move, mayMove)
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

  /** Moves the permitted task of which the receiving member has the least to read. */
  #move({ partitions, from, to }: Move, mayMove: MayMove): void {
    const list = this.#held.get(from)?.get(partitions) ?? []
    const [partition] = list
      .filter((one) => mayMove(taskId(partitions, one), to))
      // Last in, first out, so that a chain moves the same task on.
      .toReversed()
      .toSorted((a, b) => this.#state.compare(taskId(partitions, a), taskId(partitions, b), to))
    if (partition === undefined) return
    list.splice(list.indexOf(partition), 1)
    this.#load.set(from, this.#loadOf(from) - 1)
    this.give(partitions, partition, to)
  }

  /** The moves that take one task off a most loaded member and end at one with at least two fewer. */
  #chain(mayMove: MayMove): readonly Move[] | undefined {
    const byLoad = this.#members.toSorted((a, b) => this.#loadOf(b) - this.#loadOf(a))
    const lightest = this.#loadOf(byLoad.at(-1) ?? '')
    // Members that were reached without success from a more loaded one are of no use to a less loaded one either.
    const seen = new Set<string>()
    for (const start of byLoad) {
      if (this.#loadOf(start) - lightest < 2) return undefined
      if (seen.has(start)) continue
      const chain = this.#chainFrom(start, seen, mayMove)
      if (chain !== undefined) return chain
    }
    return undefined
  }

  #chainFrom(start: string, seen: Set<string>, mayMove: MayMove): readonly Move[] | undefined {
    const cameBy = new Map<string, Move>()
    seen.add(start)
    let edge: readonly string[] = [start]
    while (edge.length > 0) {
      const reached = edge
        .flatMap((from) => this.#movesFrom(from, mayMove))
        .filter((move) => {
          if (seen.has(move.to)) return false
          seen.add(move.to)
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
  #movesFrom(from: string, mayMove: MayMove): readonly Move[] {
    return this.#members.flatMap((to) => {
      const groups = this.#groups.filter(
        ({ partitions, members }) =>
          to !== from &&
          members.includes(to) &&
          (this.#held.get(from)?.get(partitions) ?? []).some((one) => mayMove(taskId(partitions, one), to)),
      )
      if (groups.length === 0) return []
      const surplus = ({ partitions }: TaskGroup): number =>
        this.#heldOf(from, partitions) - this.#heldOf(to, partitions)
      const { partitions } = groups.reduce((best, group) => (surplus(group) > surplus(best) ? group : best))
      return [{ from, to, partitions }]
    })
  }
}
