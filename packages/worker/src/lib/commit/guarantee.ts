import type { TaskOutput } from '../sending/task-output.ts'
import type { Stretch } from '../tasks/changelog-tail.ts'
import type { TaskRuntime, TaskState } from '../tasks/task-runtime.ts'
import type { Cut } from './cut.ts'

/** What at least once and exactly once do differently. Everything else about a cut is the same. */
export interface Guarantee {
  /** Where a new task's sends and rows go. */
  output(taskId: string): TaskOutput
  /** Commits of one group are made one at a time, with all that is complete by then; those of several groups side by side. */
  commitGroup(task: TaskRuntime): string
  /** Before anything of gained tasks is read: shuts out their earlier owners. Waits until the group was heard of since then. */
  fence(tasks: readonly TaskRuntime[], heardSinceMs: number): Promise<void>
  /** Brings a task to a point at which a cut can be taken, if that is possible now. */
  before(task: TaskRuntime): Promise<void>
  /** Whether it is there; asked in the same turn in which the cut is taken. Otherwise it is tried again when it is next due. */
  isReady(task: TaskRuntime): boolean
  /** Commits cuts whose sends are acknowledged. Gives back those that are committed; the others' tasks are lost or tried again. */
  commit(cuts: readonly Cut[]): Promise<readonly Cut[]>
  /** More than the task's own rows is in a stretch of one of its changelogs. */
  strayed(task: TaskRuntime, state: TaskState, stretch: Stretch): void
  /** The cut of a task is over. */
  after(task: TaskRuntime): void
  /** A task is lost or closed. */
  release(task: TaskRuntime): Promise<void>
  /** The lease is back: what was held goes out. */
  resume(): void
}
