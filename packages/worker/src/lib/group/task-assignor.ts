import type { GroupAssignor, GroupMember, GroupView, TopicPartition } from '@millrace/core'
import { taskId } from '../tasks/task-id.ts'
import type { TaskOwner } from '../worker/worker.ts'
import { encodeGroupData } from './group-data.ts'
import { groupLife } from './group-life.ts'
import { decodeMemberData } from './member-data.ts'
import { memberStamp } from './member-stamp.ts'
import { planAssignment } from './plan-assignment.ts'
import type { PlannedMember } from './planned-member.ts'

/** Gives out whole tasks: partition *p* of all topics with *n* partitions goes to one member. */
export const taskAssignor: GroupAssignor = {
  name: 'millrace-1',
  assign(view: GroupView) {
    const members = view.members.flatMap((member) => planned(member))
    const plan = planAssignment(members)
    const assignments = new Map<string, TopicPartition[]>()
    const owners = new Map<string, TaskOwner>()
    const byId = new Map(members.map((member) => [member.id, member.data]))
    const nameOf = (member: string): string => byId.get(member)?.instanceId ?? member
    for (const [partitions, topics] of plan.topics)
      for (let partition = 0; partition < partitions; partition++) {
        const id = taskId(partitions, partition)
        const member = plan.owners.get(id)
        if (member === undefined) continue
        owners.set(id, { member: nameOf(member), address: byId.get(member)?.address })
        const list = assignments.get(member) ?? []
        assignments.set(member, list)
        for (const topic of topics) list.push({ topic, partition })
      }
    const standbys = new Map([...plan.standbys].map(([id, holders]) => [id, holders.map(nameOf)]))
    return {
      assignments,
      groupData: encodeGroupData({
        owners,
        members: new Map(members.map(({ id, data }) => [nameOf(id), data.address])),
        standbys,
        warmUps: new Map([...plan.warmUps].map(([id, to]) => [id, nameOf(to)])),
        unassigned: plan.unassigned,
        stamps: stampsOf(members),
        life: groupLife(members),
      }),
    }
  },
}

function planned({ id, data }: GroupMember): readonly PlannedMember[] {
  const decoded = decodeMemberData(data)
  return decoded === undefined ? [] : [{ id, data: decoded }]
}

function stampsOf(members: readonly PlannedMember[]): ReadonlyMap<string, string> {
  return new Map(
    members.flatMap(({ data }) =>
      data.instanceId === undefined ? [] : [[data.instanceId, memberStamp(data)] as const],
    ),
  )
}
