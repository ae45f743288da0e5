import { ByteLimit } from '../environment/byte-limit.ts'
import type { HandOut } from '../environment/hand-out.ts'
import { NOT_NOW } from '../environment/not-now.ts'

/** Makes room by commits. */
export interface RowsOwner {
  /** Called when more than half of the budget is used, and again after each release as long as it still is. */
  commitLargest(): void
}

/**
 * Bounds the bytes of changed rows that wait for their commit, for the whole worker: from the end of the event that
 * wrote them until the store has them. One event may exceed the bound by what it writes. While the budget is full no
 * event is handed out, except those that a task needs in order to be committed.
 */
export class RowBudget extends ByteLimit {
  readonly #owner: RowsOwner
  #overHalf = false

  constructor(maxBytes: number, handOut: Pick<HandOut, 'block' | 'unblock'>, owner: RowsOwner) {
    super(maxBytes, NOT_NOW.rows, handOut)
    this.#owner = owner
  }

  override count(bytes: number): void {
    super.count(bytes)
    const overHalf = this.bytes > this.maxBytes / 2
    const commit = overHalf && (bytes < 0 || !this.#overHalf)
    this.#overHalf = overHalf
    if (commit) this.#owner.commitLargest()
  }
}

/**
 * Picks the tasks with the most changed rows, until the others keep at most `keepBytes`, so that few commits free much.
 */
export function tasksToCommit<T extends { readonly dirtyBytes: number }>(
  tasks: readonly T[],
  keepBytes: number,
): readonly T[] {
  const sizes = tasks
    .map((task) => ({ task, bytes: task.dirtyBytes }))
    .filter(({ bytes }) => bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes)
  let left = sizes.reduce((sum, { bytes }) => sum + bytes, 0)
  const chosen: T[] = []
  for (const { task, bytes } of sizes) {
    if (left <= keepBytes) break
    chosen.push(task)
    left -= bytes
  }
  return chosen
}
