import { APIS, type WireRequest } from '../wire-request.ts'
import type { Membership } from './membership.ts'

export interface SyncedGroup {
  readonly errorCode: number
  readonly assignment: Buffer
}

/** The leader hands in everybody's assignment, each member gets its own. */
export function syncGroupRequest(
  member: Membership,
  assignments: readonly (readonly [memberId: string, assignment: Buffer])[],
): WireRequest<SyncedGroup> {
  return {
    api: APIS.syncGroup,
    encode: (writer) => {
      writer
        .string(member.groupId)
        .int32(member.generation)
        .string(member.memberId)
        .string(member.instanceId ?? null)
      writer.array(assignments, ([memberId, assignment]) => writer.string(memberId).data(assignment))
    },
    decode: (reader) => {
      reader.int32()
      return { errorCode: reader.int16(), assignment: reader.data() }
    },
  }
}
