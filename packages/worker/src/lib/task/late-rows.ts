import { partitionKey, toError } from '@millrace/core'
import { type Reader, readStretches, type Row } from '@millrace/core/driver'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { OffsetRange } from '../records/positions.ts'
import type { TaskCommit } from './task-commit.ts'
import type { TaskState } from './task-state.ts'
import type { Task } from './task.ts'

/**
 * Searches changelogs for late rows: older rows that arrived after newer ones. The task's next commit writes the newer
 * ones again. Until then a recovery from the changelog would have the old rows (docs/guarantees.md). Under exactly once
 * the rows of another owner cannot be committed, and the only other records in the changelog are transaction markers.
 */
export class LateRows {
  readonly #environment: Pick<WorkerEnvironment, 'transport' | 'clock' | 'log'>
  readonly #readers = new Set<Reader>()
  #closed = false

  constructor(environment: Pick<WorkerEnvironment, 'transport' | 'clock' | 'log'>) {
    this.#environment = environment
  }

  /**
   * Starts a search of the changelog ranges that a commit has written, where they hold more than its rows. Does not
   * wait for the search.
   */
  committed(task: Task, { states }: TaskCommit): void {
    for (const { state, rows, last } of states) {
      if (last === undefined) continue
      const stretch = state.tail.wrote(rows.length, last.offset)
      if (stretch !== undefined && !task.output.transactional && !this.#closed) void this.#search(task, state, stretch)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#readers].map((reader) => reader.close()))
  }

  async #search(task: Task, state: TaskState, stretch: OffsetRange): Promise<void> {
    const { definition, changelog, tail, store } = state
    const { log } = this.#environment
    try {
      const rows = await this.#read(state, stretch)
      if (task.closed || this.#closed) return
      const found = tail.compare(rows, store)
      if (found === 0) return
      log.warn(
        { table: definition.name, ...changelog, rows: found },
        `Older rows of ${found} keys in ${partitionKey(changelog)} overwrote newer ones, from a delayed request of an earlier owner; the newer ones are written again.`,
      )
      task.touch()
    } catch (thrown) {
      if (task.closed || this.#closed) return
      tail.readAgain(stretch)
      log.warn(
        { table: definition.name, ...changelog, error: toError(thrown).message },
        `${partitionKey(changelog)} could not be searched for late rows; the next commit tries again.`,
      )
    }
  }

  async #read({ changelog }: TaskState, { from, to }: OffsetRange): Promise<readonly Row[]> {
    // Reads committed records only: others are not rows.
    const { transport, clock } = this.#environment
    const reader = transport.reader({ isolation: 'read-committed' })
    this.#readers.add(reader)
    try {
      const rows: Row[] = []
      for await (const { records } of readStretches(reader, [{ ...changelog, start: from, end: to }], { clock }))
        for (const { key, value, offset } of records) if (key !== null && offset < to) rows.push({ key, value })
      return rows
    } finally {
      this.#readers.delete(reader)
    }
  }
}
