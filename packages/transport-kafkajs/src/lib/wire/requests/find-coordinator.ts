import { APIS, type WireRequest } from '../wire-request.ts'

export interface Coordinator {
  readonly errorCode: number
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

/** Which broker keeps a group, or the transactions of a transactional id. */
export function findCoordinatorRequest(kind: 'group' | 'transaction', key: string): WireRequest<Coordinator> {
  return {
    api: APIS.findCoordinator,
    encode: (writer) => writer.string(key).int8(kind === 'group' ? 0 : 1),
    decode: (reader) => {
      reader.int32()
      const errorCode = reader.int16()
      reader.string()
      return { errorCode, nodeId: reader.int32(), host: reader.text(), port: reader.int32() }
    },
  }
}
