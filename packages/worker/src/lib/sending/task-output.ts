import type { CommitOffset } from '@millrace/core'
import type { Outgoing } from './outgoing.ts'

/** Commits one task, or several together: one commit at a time, for all tasks that are ready by then. */
export interface CommitGroup {
  /**
   * Commits these offsets together with what the outputs of the group have sealed. Returns false if that failed without
   * an error: the tasks are lost, or are retried.
   */
  commit(offsets: readonly CommitOffset[]): Promise<boolean>
}

/**
 * The output for the sends and changelog rows of one task. The difference between at least once and exactly once is in
 * its implementations, and nowhere else.
 */
export interface TaskOutput {
  readonly group: CommitGroup
  /** Whether sends are aborted if they are not committed. If so, a commit must hold everything that is finished. */
  readonly transactional: boolean
  /** How many sends and rows since the last seal the broker has not acknowledged. */
  readonly pending: number
  /**
   * How many transactions of the task have failed since the last one that was committed. The next output of the task
   * continues the count.
   */
  readonly failures: number
  /**
   * Fences earlier owners of a gained task, before anything of it is read. Waits for a sign of life from the group
   * since then.
   */
  fence(heardSinceMs: number): Promise<void>
  /** Adds a send of a finished event, or a changelog row. */
  add(record: Outgoing): void
  /** Resolves when the broker has acknowledged everything added so far; rejects when some of it never will be. */
  seal(): Promise<void>
  /** Called when the commit of the sealed epoch is over, or was given up. */
  release(): void
  /** Called when the task is lost: unsent records are dropped. */
  abandon(error: Error): void
  /** Called after `abandon`. */
  close(): Promise<void>
}
