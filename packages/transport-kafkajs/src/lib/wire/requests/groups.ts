import type { MemberInfo } from '@millrace/core'
import { APIS, type WireRequest } from '../wire-request.ts'

export interface DescribedGroup {
  readonly errorCode: number
  readonly members: readonly MemberInfo[]
}

/** Who is in one group; a group that never was answers as one without members. */
export function describeGroupRequest(groupId: string): WireRequest<DescribedGroup> {
  return {
    api: APIS.describeGroups,
    encode: (writer) => writer.array([groupId], (id) => writer.string(id)).boolean(false),
    decode: (reader) => {
      reader.int32()
      const [group] = reader.array(() => {
        const errorCode = reader.int16()
        // The group's name, state, kind of protocol and protocol.
        for (let field = 0; field < 4; field++) reader.text()
        const members = reader.array(() => {
          const id = reader.text()
          const instanceId = reader.string() ?? undefined
          const client = reader.text()
          const host = reader.text()
          // What it subscribes to and what it was given.
          reader.data()
          reader.data()
          return { id, instanceId, host: `${client} at ${host.replace(/^\//, '')}` }
        })
        // What this client may do to the group.
        reader.int32()
        return { errorCode, members }
      })
      return group ?? { errorCode: 0, members: [] }
    },
  }
}

/** Gives the error code. */
export function deleteGroupRequest(groupId: string): WireRequest<number> {
  return {
    api: APIS.deleteGroups,
    encode: (writer) => writer.array([groupId], (id) => writer.string(id)),
    decode: (reader) => {
      reader.int32()
      const [errorCode] = reader.array(() => {
        reader.text()
        return reader.int16()
      })
      return errorCode ?? 0
    },
  }
}
