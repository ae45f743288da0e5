import type { TaskOutput } from '../sending/task-output.ts'
import type { TaskRuntime } from '../tasks/task-runtime.ts'
import type { Cut } from './cut.ts'

/** What at least once and exactly once do differently. Everything else about a cut is the same. */
export interface Guarantee {
  /** Where a new task's sends and rows go. */
  output(taskId: string): TaskOutput
  /** Before anything of gained tasks is read: shuts out their earlier owners. */
  fence(tasks: readonly TaskRuntime[]): Promise<void>
  /** Brings tasks to a point at which a cut can be taken. */
  before(tasks: readonly TaskRuntime[]): Promise<void>
  /** Commits cuts whose sends are acknowledged. Gives back those that are committed; the others' tasks are lost or tried again. */
  commit(cuts: readonly Cut[]): Promise<readonly Cut[]>
  /** The cuts are over. */
  after(tasks: readonly TaskRuntime[]): void
  /** A task is lost or closed. */
  release(task: TaskRuntime): Promise<void>
}
