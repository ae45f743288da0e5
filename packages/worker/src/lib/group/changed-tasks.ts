import type { AssignmentChange, TopicPartition } from '@millrace/core'
import { placeOf, type TaskPlace } from '../tasks/task-place.ts'

export interface ChangedTasks {
  /** Ids of tasks to be dropped, those among them that come back with other partitions. */
  readonly lost: readonly string[]
  /** Tasks to be opened, with all partitions that they have now. */
  readonly gained: readonly (readonly [TaskPlace, readonly TopicPartition[]])[]
}

/**
 * What a new assignment means for the tasks that are here. A task of which only some partitions change is opened anew:
 * its positions, rows and transaction belong together.
 *
 * @param isHere by task id
 * @param partitionsOf count of a topic; partitions of topics without one are passed over: a static member may be given
 *   topics of the version before when it comes back with another
 */
export function changedTasks(
  { lost, kept, gained }: Pick<AssignmentChange, 'lost' | 'kept' | 'gained'>,
  isHere: ReadonlyMap<string, unknown>,
  partitionsOf: (topic: string) => number | undefined,
): ChangedTasks {
  const known = (partitions: readonly TopicPartition[]): readonly TopicPartition[] =>
    partitions.filter(({ topic }) => partitionsOf(topic) !== undefined)
  const place = (partition: TopicPartition): TaskPlace => placeOf(partition, partitionsOf(partition.topic) ?? 0)
  const changed = new Set([...lost, ...known(gained)].map((partition) => place(partition).id))
  const now = new Map<string, { readonly place: TaskPlace; readonly assigned: TopicPartition[] }>()
  for (const partition of [...known(kept), ...known(gained)]) {
    const at = place(partition)
    const entry = now.get(at.id)
    if (entry === undefined) now.set(at.id, { place: at, assigned: [partition] })
    else entry.assigned.push(partition)
  }
  return {
    lost: [...isHere.keys()].filter((id) => changed.has(id) || !now.has(id)),
    gained: [...now.values()].flatMap(({ place: at, assigned }) =>
      changed.has(at.id) || !isHere.has(at.id) ? [[at, assigned] as const] : [],
    ),
  }
}
