import { APIS, type WireRequest } from '../wire-request.ts'
import type { Membership } from './membership.ts'

/** Gives the error code. */
export function heartbeatRequest(member: Membership): WireRequest<number> {
  return {
    api: APIS.heartbeat,
    encode: (writer) =>
      writer
        .string(member.groupId)
        .int32(member.generation)
        .string(member.memberId)
        .string(member.instanceId ?? null),
    decode: (reader) => {
      reader.int32()
      return reader.int16()
    },
  }
}
