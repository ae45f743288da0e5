import type { GroupAssignment, GroupAssignor } from '@millrace/core'
import type { LogReads } from '../log/log-backend.ts'
import type { GroupState } from './group-state.ts'

/** Runs the assignor over a group whose members have all joined. */
export function leadGroup(group: GroupState, assignor: GroupAssignor, log: Pick<LogReads, 'topic'>): GroupAssignment {
  const members = [...group.members].map(([id, { topics, data }]) => ({ id, topics, data }))
  const partitions = new Map<string, number>()
  for (const name of members.flatMap((member) => member.topics)) {
    const topic = log.topic(name)
    if (topic !== undefined) partitions.set(name, topic.partitions)
  }
  return assignor.assign({ members, partitions })
}
