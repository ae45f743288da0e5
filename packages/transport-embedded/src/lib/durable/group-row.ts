import type { TopicPartition } from '@millrace/core'
import type { GroupState, MemberState } from '../log/group-state.ts'

interface GroupRow extends Omit<GroupState, 'members' | 'assignments' | 'groupData' | 'ownData'> {
  readonly members: readonly (readonly [string, Omit<MemberState, 'data'> & { readonly data: string }])[]
  readonly assignments: readonly (readonly [string, readonly TopicPartition[]])[]
  readonly groupData: string
  /** Absent in a log that an earlier version has written. */
  readonly ownData?: readonly (readonly [string, string])[]
}

/** A group's state as JSON; written only when a member joins, leaves or leads. */
export function encodeGroup(state: GroupState): Buffer {
  const row: GroupRow = {
    ...state,
    members: [...state.members].map(([id, member]) => [id, { ...member, data: toText(member.data) }] as const),
    assignments: [...state.assignments],
    groupData: toText(state.groupData),
    ownData: [...state.ownData].map(([id, data]) => [id, toText(data)] as const),
  }
  return Buffer.from(JSON.stringify(row))
}

export function decodeGroup(bytes: Buffer): GroupState {
  const row: GroupRow = JSON.parse(bytes.toString())
  return {
    generation: row.generation,
    phase: row.phase,
    protocol: row.protocol,
    leader: row.leader,
    members: new Map(
      row.members.map(([id, member]) => [
        id,
        { ...member, instanceId: member.instanceId, data: fromText(member.data) },
      ]),
    ),
    assignments: new Map(row.assignments),
    groupData: fromText(row.groupData),
    ownData: new Map((row.ownData ?? []).map(([id, data]) => [id, fromText(data)])),
  }
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function fromText(text: string): Uint8Array {
  return Buffer.from(text, 'base64')
}
