import { ByteLimit } from '../environment/byte-limit.ts'
import type { HandOut } from '../environment/hand-out.ts'
import { NOT_NOW } from '../environment/not-now.ts'

/** Makes room by commits. */
export interface RowsOwner {
  /** More than half of the budget is used. Called again each time that some came back and it still is. */
  commitLargest(): void
}

/**
 * How many bytes of changed rows may wait for their commit at once, for the whole worker: from the moment an event that
 * wrote them is finished until the store has them. One event may exceed it by what it writes. While it is full no event is
 * handed out, but those that a task needs to be committed.
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

/** The tasks with the most changed rows, until the others keep at most `keepBytes`: few commits free much. */
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
