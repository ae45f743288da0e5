import type { HeldState } from './held-state.ts'

export interface WarmUpsWanted {
  /** Who runs each task for now. */
  readonly owners: ReadonlyMap<string, string>
  /** The final owner of each task. */
  readonly wanted: ReadonlyMap<string, string>
  readonly standbys: ReadonlyMap<string, readonly string[]>
  readonly state: HeldState
  /** How many copies may be under way at a time, apart from standbys. */
  readonly most: number
}

/**
 * Plans which members warm up for which tasks: those that should get a task but would have too much of its state to
 * read. Copies under way continue before others begin, because otherwise rebalances would discard what they have read.
 * A copy that has caught up and waits (its task can move only together with another one) does not count for the limit.
 */
export function planWarmUps({ owners, wanted, standbys, state, most }: WarmUpsWanted): ReadonlyMap<string, string> {
  const warmUps = new Map<string, string>()
  const waiting = [...wanted]
    // A task that needs no copy is left out, but keeps one that it has.
    .filter(([task, to]) => owners.get(task) !== to && (state.holds(task, to) || !state.isReady(task, to)))
    .toSorted(
      ([a, toA], [b, toB]) =>
        Number(state.holds(b, toB)) - Number(state.holds(a, toA)) ||
        state.lag(a, toA) - state.lag(b, toB) ||
        (a < b ? -1 : 1),
    )
  let underWay = 0
  for (const [task, to] of waiting) {
    const isFree = state.isReady(task, to) || standbys.get(task)?.includes(to) === true
    if (!isFree && underWay++ >= most) continue
    warmUps.set(task, to)
  }
  return warmUps
}
