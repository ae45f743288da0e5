import type { TopicPartition } from './record.ts'

/** Who runs a task, as the group's leader told every member. */
export interface TaskOwner {
  /** Instance id of a static member, member id of others. */
  readonly member: string
  /** Web address of that worker, when it has one. */
  readonly address: string | undefined
}

export interface TaskView {
  /** `{partitions}-{partition}` */
  readonly id: string
  readonly state: 'opening' | 'running'
  readonly sources: readonly TopicPartition[]
  readonly parts: readonly string[]
}

export interface AssignmentView {
  /** This worker's name in the group: its instance id when it has one, else its member id; `undefined` before it has joined. */
  readonly memberId: string | undefined
  readonly tasks: readonly TaskView[]
  /** By task id, for the whole group. */
  readonly group: ReadonlyMap<string, TaskOwner>
  /** Web address of every member of the group, by its name there; also of those that have no task. */
  readonly members: ReadonlyMap<string, string | undefined>
  /** Who leads the group; `undefined` when nobody does, or nothing in the app needs a leader. */
  readonly leader: TaskOwner | undefined
  /** Tasks that no member of the group can take, because none knows all their topics and tables. */
  readonly unassigned: readonly string[]
}
