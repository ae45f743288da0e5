import type { CommitOffset } from '@millrace/core'
import type { Outgoing } from './outgoing.ts'

/** Makes the commits of one task, or of several together. One commit at a time, of all tasks that are ready by then. */
export interface CommitGroup {
  /**
   * Commits these offsets together with what the outputs of the group have sealed. False when it came to nothing and that
   * is no error: the tasks are lost, or are tried again.
   */
  commit(offsets: readonly CommitOffset[]): Promise<boolean>
}

/**
 * Where the sends and changelog rows of one task go, and what makes them count: at least once and exactly once differ in
 * this and in nothing else.
 */
export interface TaskOutput {
  readonly group: CommitGroup
  /**
   * What was sent can be taken back with all since the last commit: then a commit must hold everything that is
   * finished.
   */
  readonly transactional: boolean
  /** Sends and rows since the last seal that the broker has not acknowledged. */
  readonly pending: number
  /**
   * Transactions of the task that have failed since the last that was committed: the next output of the task goes on
   * counting.
   */
  readonly failures: number
  /**
   * Before anything of a gained task is read: shuts out its earlier owners. Waits until the group was heard of since
   * then.
   */
  fence(heardSinceMs: number): Promise<void>
  /** A send of a finished event, or a changelog row. */
  add(record: Outgoing): void
  /** Resolves when everything added so far is acknowledged by the broker; rejects when some of it never will be. */
  seal(): Promise<void>
  /** The commit of the sealed epoch is over, or was given up. */
  release(): void
  /** The task is lost: unsent records are dropped. */
  abandon(error: Error): void
  /** After `abandon`. */
  close(): Promise<void>
}
