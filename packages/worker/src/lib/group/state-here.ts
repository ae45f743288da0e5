import type { Clock, TaskPart } from '@millrace/core'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import { planRestore } from '../restore/restore-plan.ts'
import type { Recovery } from '../restore/recovery.ts'
import { taskId } from '../tasks/task-id.ts'
import type { TaskStores } from '../restore/task-stores.ts'

export interface StateHereDeps {
  readonly topics: Pick<TopicDirectory, 'groups' | 'partsWith' | 'changelogId' | 'changelogConfig'>
  readonly stores: Pick<TaskStores, 'checkpoint' | 'isInUse'>
  readonly recovery: Pick<Recovery, 'remaining'>
  readonly clock: Clock
  /** Changelog offsets that a task's state may lack and count as whole. */
  readonly acceptableLag: number
  /** Leave out what lies on the disk from earlier. */
  readonly inUseOnly: boolean
}

/**
 * How much of the state of tasks is in this worker's store, as the sum of changelog offsets absorbed: of tasks that run, of
 * warm copies, and of what lies on its disk from earlier. A task whose recovery has a long way to go is left out: it has
 * no state yet that would be a reason to leave it here.
 */
export function stateHere({
  topics,
  stores,
  recovery,
  clock,
  acceptableLag,
  inUseOnly,
}: StateHereDeps): ReadonlyMap<string, number> {
  const nowMs = clock.now()
  const absorbed = (part: TaskPart, partition: number): number | undefined => {
    const checkpoint = stores.checkpoint(part.name, partition)
    if (stores.isInUse(part.name, partition)) return checkpoint?.offset ?? 0
    if (checkpoint === undefined || inUseOnly) return undefined
    // Where its changelog begins and ends now is found out when it is used.
    const changelog = {
      topicId: topics.changelogId(part),
      beginning: 0,
      end: Infinity,
      config: topics.changelogConfig(part),
    }
    return planRestore(checkpoint, changelog, nowMs).rebuild === undefined ? checkpoint.offset : undefined
  }
  const found = new Map<string, number>()
  for (const partitions of topics.groups.keys()) {
    const parts = topics.partsWith(partitions)
    for (let partition = 0; partition < partitions; partition++) {
      const sums = parts.flatMap((part) => absorbed(part, partition) ?? [])
      const missing = parts.map(({ changelog }) => recovery.remaining({ topic: changelog.topic, partition }))
      if (sums.length > 0 && sumOf(missing) <= acceptableLag) found.set(taskId(partitions, partition), sumOf(sums))
    }
  }
  return found
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0)
}
