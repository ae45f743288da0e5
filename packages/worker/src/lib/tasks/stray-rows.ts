import { partitionKey, type Reader, type Row, toError } from '@millrace/core'
import type { RestoreEnvironment } from '../restore/changelog-follower.ts'
import type { Stretch } from './changelog-tail.ts'
import type { TaskRuntime, TaskState } from './task-runtime.ts'

/**
 * Looks for rows that came into a changelog late, over newer ones, and has those written again by the task's next cut.
 * Until then whoever recovers from the changelog would have the old ones (docs/guarantees.md).
 */
export class StrayRows {
  readonly #environment: Pick<RestoreEnvironment, 'reader' | 'log'>
  /** Readers that are at it. */
  readonly #reading = new Set<Reader>()
  #closed = false

  constructor(environment: Pick<RestoreEnvironment, 'reader' | 'log'>) {
    this.#environment = environment
  }

  /** Looks through a stretch of the task's changelog; goes on by itself. */
  look(task: TaskRuntime, state: TaskState, stretch: Stretch): void {
    if (this.#closed) return
    void this.#look(task, state, stretch)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#reading].map((reader) => reader.close()))
  }

  async #look(task: TaskRuntime, state: TaskState, stretch: Stretch): Promise<void> {
    const { part, changelog, tail, store } = state
    try {
      const rows = await this.#read(state, stretch)
      if (task.closed || this.#closed) return
      const found = tail.compare(rows, store)
      if (found === 0) return
      this.#environment.log.warn(
        { table: part.name, ...changelog, rows: found },
        `Older rows of ${found} keys came into ${partitionKey(changelog)} over newer ones, from a request that had been given up; they are written again.`,
      )
      task.touch()
    } catch (thrown) {
      if (task.closed || this.#closed) return
      tail.lookAgain(stretch)
      this.#environment.log.warn(
        { table: part.name, ...changelog, error: toError(thrown).message },
        `${partitionKey(changelog)} could not be searched for rows that came late; the next commit tries again.`,
      )
    }
  }

  async #read({ changelog }: TaskState, { from, to }: Stretch): Promise<readonly Row[]> {
    const reader = this.#environment.reader()
    this.#reading.add(reader)
    try {
      reader.assign(changelog, from)
      const rows: Row[] = []
      for await (const { records, nextOffset } of reader.batches()) {
        for (const { key, value, offset } of records) if (key !== null && offset < to) rows.push({ key, value })
        if (nextOffset >= to) break
      }
      return rows
    } finally {
      this.#reading.delete(reader)
      await reader.close()
    }
  }
}
