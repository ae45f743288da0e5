import type { HeldState } from './held-state.ts'

export interface WarmUpsWanted {
  /** Who runs each task for now. */
  readonly owners: ReadonlyMap<string, string>
  /** Who should run it in the end. */
  readonly wanted: ReadonlyMap<string, string>
  readonly standbys: ReadonlyMap<string, readonly string[]>
  readonly state: HeldState
  /** Copies under way at a time that are not standbys anyway. */
  readonly most: number
}

/**
 * Which members warm up for which tasks: those that should have a task and would have to read too much of it first. Copies
 * under way go on before others are begun, or rebalances would throw away what they have read. One that has caught up and
 * waits (its task can move only together with another one) takes no place.
 */
export function planWarmUps({ owners, wanted, standbys, state, most }: WarmUpsWanted): ReadonlyMap<string, string> {
  const warmUps = new Map<string, string>()
  const waiting = [...wanted]
    // What needs no copy is left out, and does not lose one that it has.
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
