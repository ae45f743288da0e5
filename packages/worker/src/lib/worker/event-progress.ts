import type { TopicPartition } from '@millrace/core'
import type { StateDefinition } from '../contracts/task.ts'
import type { EventProgress } from '../contracts/worker.ts'
import { taskId } from '../environment/task-id.ts'
import { ResumePoint } from '../records/positions.ts'
import type { GroupMember } from './group-member.ts'

/** An event, and the state of whose task it is asked for. */
export interface EventOfTask extends TopicPartition {
  readonly offset: number
  readonly state: StateDefinition
  /** Partition of the state. */
  readonly statePartition: number
}

/** `undefined` if the state's task is not here, or does not read the event's partition. */
export function progressOf(
  { topics, tasks }: Pick<GroupMember, 'topics' | 'tasks'>,
  { state, statePartition, topic, partition, offset }: EventOfTask,
): EventProgress | undefined {
  const partitions = topics.partitionsOf(state)
  if (partitions === undefined) return undefined
  const found = tasks.all
    .get(taskId(partitions, statePartition))
    ?.sources.find(({ source }) => source.topic === topic && source.partition === partition)
  if (found === undefined) return undefined
  const { source, cursors } = found
  const committedTo = source.committed ?? 0
  return {
    isFinished: cursors.every((cursor) => new ResumePoint(cursor.progress()).isFinished(offset)),
    isCommitted: offset < committedTo,
    finishedTo: Math.min(...cursors.map(({ tracker }) => tracker.position)),
    committedTo,
  }
}
