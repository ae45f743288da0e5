import { APIS, type WireRequest } from '../wire-request.ts'

export interface JoinGroup {
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly protocol: string
  readonly metadata: Buffer
}

export interface JoinedGroup {
  readonly errorCode: number
  readonly generation: number
  readonly leaderId: string
  readonly memberId: string
  /** Filled for the leader. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[]
}

/** Answered when all members have joined, so it may take as long as the longest drain. */
export function joinGroupRequest(join: JoinGroup): WireRequest<JoinedGroup> {
  return {
    api: APIS.joinGroup,
    encode: (writer) => {
      writer.string(join.groupId).int32(join.sessionTimeoutMs).int32(join.rebalanceTimeoutMs)
      writer
        .string(join.memberId)
        .string(join.instanceId ?? null)
        .string('consumer')
      writer.array([join], ({ protocol, metadata }) => writer.string(protocol).data(metadata))
    },
    decode: (reader) => {
      reader.int32()
      const errorCode = reader.int16()
      const generation = reader.int32()
      reader.string()
      const leaderId = reader.text()
      const memberId = reader.text()
      const members = reader.array(() => {
        const id = reader.text()
        reader.string()
        return { memberId: id, metadata: reader.data() }
      })
      return { errorCode, generation, leaderId, memberId, members }
    },
  }
}
