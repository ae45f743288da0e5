import { byPartition, type TopicPartition } from '@millrace/core'
import type { AssignmentChange } from '@millrace/core/driver'
import type { TaskRef } from '../contracts/task.ts'
import { taskOf } from '../environment/task-id.ts'

/** A task with all its partitions. */
export interface GainedTask extends TaskRef {
  readonly assigned: readonly TopicPartition[]
}

export interface RebalancePlan {
  /** Ids of tasks to close, including those that are reopened with other partitions. */
  readonly lost: readonly string[]
  /** Ids of tasks that stay as they are. */
  readonly kept: readonly string[]
  /** Tasks to open. */
  readonly gained: readonly GainedTask[]
}

/**
 * What a new assignment means for the tasks that are here. If only some partitions of a task change, the task is
 * reopened, because its positions, rows and transaction belong together.
 *
 * @param here by task id
 * @param partitionsOf partition count of a topic that this worker reads. Partitions of other topics are ignored: a
 * static member that returns
 *   with a new version may get topics of the old one. So are partitions that the topic does not have, and duplicates,
 *   because another client of Kafka may lead the group and send anything
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
