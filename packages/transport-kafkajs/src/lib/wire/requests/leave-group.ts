import { APIS, type WireRequest } from '../wire-request.ts'
import type { Membership } from './membership.ts'

/** Gives the error code. */
export function leaveGroupRequest(member: Membership): WireRequest<number> {
  return {
    api: APIS.leaveGroup,
    encode: (writer) => {
      writer.string(member.groupId)
      writer.array([member], ({ memberId, instanceId }) => writer.string(memberId).string(instanceId ?? null))
    },
    decode: (reader) => {
      reader.int32()
      return reader.int16()
    },
  }
}
