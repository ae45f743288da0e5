import { byPartition, type TopicPartition } from '@millrace/core'
import type { AssignmentChange } from '@millrace/core/driver'
import type { TaskRef } from '../contracts/task.ts'
import { taskOf } from '../environment/task-id.ts'

/** A task with all partitions that it has now. */
export interface GainedTask extends TaskRef {
  readonly assigned: readonly TopicPartition[]
}

export interface RebalancePlan {
  /** Ids of tasks to be closed, those among them that come back with other partitions. */
  readonly lost: readonly string[]
  /** Ids of tasks that go on as they are. */
  readonly kept: readonly string[]
  /** Tasks to be opened. */
  readonly gained: readonly GainedTask[]
}

/**
 * What a new assignment means for the tasks that are here. A task of which only some partitions change is opened anew:
 * its positions, rows and transaction belong together.
 *
 * @param here by task id
 * @param partitionsOf count of a topic that this worker reads; partitions of topics without one are passed over: a static member may be given
 *   topics of the version before when it comes back with another. Passed over, too, are partitions that the topic does not
 *   have and those named twice: another client of Kafka may lead the group, and give out what it likes
 */
export function planRebalance(
  { lost, kept, gained }: Pick<AssignmentChange, 'lost' | 'kept' | 'gained'>,
  here: ReadonlyMap<string, unknown>,
  partitionsOf: (topic: string) => number | undefined,
): RebalancePlan {
  const known = (partitions: readonly TopicPartition[]): readonly TopicPartition[] =>
    [...byPartition(partitions).values()].filter(({ topic, partition }) => {
      const count = partitionsOf(topic)
      return count !== undefined && Number.isInteger(partition) && partition >= 0 && partition < count
    })
  const refOf = (partition: TopicPartition): TaskRef => taskOf(partition, partitionsOf(partition.topic) ?? 0)
  const changed = new Set([...lost, ...known(gained)].map((partition) => refOf(partition).id))
  const now = new Map<string, TaskRef & { readonly assigned: TopicPartition[] }>()
  for (const partition of [...known(kept), ...known(gained)]) {
    const ref = refOf(partition)
    const task = now.get(ref.id)
    if (task === undefined) now.set(ref.id, { ...ref, assigned: [partition] })
    else task.assigned.push(partition)
  }
  const stays = (id: string): boolean => now.has(id) && !changed.has(id)
  return {
    lost: [...here.keys()].filter((id) => !stays(id)),
    kept: [...here.keys()].filter(stays),
    gained: [...now.values()].filter(({ id }) => changed.has(id) || !here.has(id)),
  }
}
