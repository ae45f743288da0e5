import type { Recovery } from '../restore/recovery.ts'
import { taskId } from '../environment/task-id.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { PlannedMember } from './member-data.ts'

/**
 * How much of the state of each task each member holds, and so how much it would have to read before it could take over
 * the task. Counted in changelog offsets, of which compaction leaves fewer rows.
 */
export class HeldState {
  readonly #absorbed = new Map<string, Map<string, number>>()
  readonly #caughtUp = new Map<string, Set<string>>()
  /** Acceptable lag of members that can be warmed up. */
  readonly #acceptableLag = new Map<string, number>()
  /** By task: how much the most advanced member has read. */
  readonly #furthest = new Map<string, number>()
  /** By task: how much state exists that some member has completely. 0 if no member has, or none reports it. */
  readonly #whole = new Map<string, number>()

  constructor(members: readonly PlannedMember[]) {
    for (const { id, data } of members) {
      for (const [task, absorbed] of data.warm)
        entry(this.#absorbed, task, () => new Map<string, number>()).set(id, absorbed)
      if (data.warmUp === undefined) continue
      this.#acceptableLag.set(id, data.warmUp.acceptableLag)
      for (const task of data.warmUp.caughtUp) entry(this.#caughtUp, task, () => new Set<string>()).add(id)
    }
  }

  /**
   * Must be called for each task before it is queried. The owner of a task has all of its state. If the owner is gone,
   * copies that have caught up have it. Rows on disk may be of any age, and no member should wait for them.
   */
  measure(
    task: string,
    { owner, members }: { readonly owner: string | undefined; readonly members: readonly string[] },
  ): void {
    const most = (among: readonly string[]): number =>
      Math.max(0, ...among.map((member) => this.#absorbedBy(task, member)))
    this.#furthest.set(task, most(members))
    this.#whole.set(task, most(owner === undefined ? members.filter((one) => this.hasCaughtUp(task, one)) : [owner]))
  }

  /** Whether this member has a copy, of any age. */
  holds(task: string, member: string): boolean {
    return this.#absorbed.get(task)?.has(member) === true
  }

  /** Whether this member has read its copy to the end of the changelog, and keeps it there. */
  hasCaughtUp(task: string, member: string): boolean {
    return this.#caughtUp.get(task)?.has(member) === true
  }

  /** How far the member is behind the most advanced member. */
  lag(task: string, member: string): number {
    return (this.#furthest.get(task) ?? 0) - this.#absorbedBy(task, member)
  }

  /** Whether the member's copy is about as good as the best. */
  isWarm(task: string, member: string): boolean {
    return this.holds(task, member) && this.lag(task, member) <= (this.#acceptableLag.get(member) ?? 0)
  }

  /**
   * Whether the member can take over the task at once. A member of an earlier version cannot be warmed up, so it always
   * counts as ready.
   */
  isReady(task: string, member: string): boolean {
    const acceptable = this.#acceptableLag.get(member)
    if (acceptable === undefined || this.hasCaughtUp(task, member)) return true
    return (this.#whole.get(task) ?? 0) - this.#absorbedBy(task, member) <= acceptable
  }

  /** Negative if the member should rather get task `a`, positive if rather `b`. */
  compare(a: string, b: string, member: string): number {
    return (
      Number(this.isReady(b, member)) - Number(this.isReady(a, member)) ||
      Number(this.holds(b, member)) - Number(this.holds(a, member)) ||
      // If other members have copies, one of them may be about to get the task.
      this.#copies(a) - this.#copies(b) ||
      this.lag(a, member) - this.lag(b, member)
    )
  }

  #copies(task: string): number {
    return this.#absorbed.get(task)?.size ?? 0
  }

  #absorbedBy(task: string, member: string): number {
    return this.#absorbed.get(task)?.get(member) ?? 0
  }
}

function entry<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key) ?? make()
  map.set(key, known)
  return known
}

/**
 * How much of the state of tasks this worker's store holds, as the sum of the changelog offsets that it has read: for
 * tasks that run here, for warm copies, and, unless `inUseOnly`, for rows left on disk from earlier. A task that still
 * has more than `acceptableLag` offsets to recover is left out, because its state is no reason yet to leave it here.
 */
export function stateHere(
  topics: Pick<TopicDirectory, 'groups' | 'statesWith'>,
  recovery: Pick<Recovery, 'absorbed' | 'remaining'>,
  { acceptableLag, inUseOnly }: { readonly acceptableLag: number; readonly inUseOnly: boolean },
): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const partitions of topics.groups.keys()) {
    const definitions = topics.statesWith(partitions)
    for (let partition = 0; partition < partitions; partition++) {
      const sums = definitions.flatMap((definition) => recovery.absorbed({ definition, partition }, inUseOnly) ?? [])
      const missing = definitions.map(({ changelog }) => recovery.remaining({ topic: changelog.topic, partition }))
      if (sums.length > 0 && sumOf(missing) <= acceptableLag) found.set(taskId(partitions, partition), sumOf(sums))
    }
  }
  return found
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0)
}
