import { partitionKey, type TopicPartition } from '@millrace/core'
import type { GroupAssignor, GroupMember, GroupView } from '@millrace/core/driver'
import type { TaskOwner } from '../contracts/group.ts'
import type { BlockingEvent } from '../task/blocking-events.ts'
import type { TaskTopology } from '../topics/topic-directory.ts'
import { taskId } from '../environment/task-id.ts'
import { encodeGroupData, memberName } from './group-data.ts'
import { groupLife, groupSecret } from './group-life.ts'
import { decodeMemberData, type PlannedMember, topologyStamp } from './member-data.ts'
import { encodeOwnData } from './own-data.ts'
import { type AssignmentPlan, planAssignment } from './plan-assignment.ts'

/** Assigns whole tasks: partition *p* of all topics with *n* partitions goes to one member. */
export const taskAssignor: GroupAssignor = {
  name: 'millrace-1',
  assign(view: GroupView) {
    const members = view.members.flatMap((member) => planned(member, view.partitions))
    const plan = planAssignment(members)
    const names = namesOf(members)
    const nameOf = (member: string): string => names.get(member) ?? member
    const byId = new Map(members.map((member) => [member.id, member.data]))
    const assignments = new Map<string, TopicPartition[]>()
    const owners = new Map<string, TaskOwner>()
    for (const partitions of plan.counts)
      for (let partition = 0; partition < partitions; partition++) {
        const id = taskId(partitions, partition)
        const member = plan.owners.get(id)
        if (member === undefined) continue
        owners.set(id, { member: nameOf(member), address: byId.get(member)?.address })
        const list = assignments.get(member) ?? []
        assignments.set(member, list)
        // Assigns as much of the task as its owner knows, because a member of an earlier version may keep what it has.
        for (const topic of byId.get(member)?.groups.get(partitions)?.topics ?? []) list.push({ topic, partition })
      }
    return {
      assignments,
      groupData: encodeGroupData({
        owners,
        members: new Map(members.map(({ id, data }) => [nameOf(id), data.address])),
        warmUps: new Map([...plan.warmUps].map(([id, to]) => [id, nameOf(to)])),
        unassigned: plan.unassigned,
        stamps: stampsOf(members, names),
        life: groupLife(members),
        secret: groupSecret(members),
      }),
      ownData: ownDataOf(plan, assignments, members),
    }
  },
}

interface ReadMember extends PlannedMember {
  /** `topologyStamp` of the member's data as sent, whether or not it can be assigned. */
  readonly stamp: string
}

/**
 * Nothing for a member with unreadable or impossible data. All topics of a task must have the same number of
 * partitions, as far as they are known here, because otherwise a partition could be in two tasks.
 */
function planned({ id, topics, data }: GroupMember, partitions: GroupView['partitions']): readonly ReadMember[] {
  const decoded = decodeMemberData(data)
  if (decoded === undefined) return []
  const subscribed = new Set(topics)
  const exists = ([count, topology]: readonly [number, TaskTopology]): boolean =>
    topology.topics.every((topic) => subscribed.has(topic)) &&
    topology.topics.some((topic) => partitions.has(topic)) &&
    topology.topics.every((topic) => (partitions.get(topic) ?? count) === count)
  const groups = new Map([...decoded.groups].filter(exists))
  return [{ id, data: { ...decoded, groups }, stamp: topologyStamp(decoded.groups) }]
}

/** A member that claims the name of another one goes by its member id. */
function namesOf(members: readonly PlannedMember[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  const taken = new Set<string>()
  for (const { id, data } of members) {
    const wanted = memberName(data.instanceId ?? id)
    const name = taken.has(wanted) ? memberName(id) : wanted
    taken.add(name)
    names.set(id, name)
  }
  return names
}

function stampsOf(members: readonly ReadMember[], names: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map(
    members.flatMap(({ id, data, stamp }) =>
      data.instanceId === undefined ? [] : [[names.get(id) ?? id, stamp] as const],
    ),
  )
}

/** For each member its copies, and what others know of events in its partitions. */
function ownDataOf(
  { standbys }: AssignmentPlan,
  assignments: ReadonlyMap<string, readonly TopicPartition[]>,
  members: readonly PlannedMember[],
): ReadonlyMap<string, Uint8Array> {
  const blockingEvents = new Map<string, BlockingEvent[]>()
  for (const blockingEvent of members.flatMap(({ data }) => data.blockingEvents ?? [])) {
    const others = blockingEvents.get(partitionKey(blockingEvent))
    if (others === undefined) blockingEvents.set(partitionKey(blockingEvent), [blockingEvent])
    else others.push(blockingEvent)
  }
  const copies = new Map<string, Map<string, number>>()
  for (const [task, holders] of standbys)
    holders.forEach((member, rank) => {
      const own = copies.get(member) ?? new Map<string, number>()
      copies.set(member, own.set(task, rank))
    })
  return new Map(
    members.flatMap(({ id }) => {
      const own = {
        standbys: copies.get(id) ?? new Map<string, number>(),
        blockingEvents:
          blockingEvents.size === 0
            ? []
            : (assignments.get(id) ?? []).flatMap((partition) => blockingEvents.get(partitionKey(partition)) ?? []),
      }
      return own.standbys.size === 0 && own.blockingEvents.length === 0 ? [] : [[id, encodeOwnData(own)] as const]
    }),
  )
}
