import { APIS, type WireRequest } from '../wire-request.ts'

export interface ProducerIdentity {
  readonly errorCode: number
  readonly producerId: number
  readonly epoch: number
}

/** Fences earlier producers of the transactional id and ends their open transaction. */
export function initProducerIdRequest(transactionalId: string, timeoutMs: number): WireRequest<ProducerIdentity> {
  return {
    api: APIS.initProducerId,
    encode: (writer) => writer.string(transactionalId).int32(timeoutMs),
    decode: (reader) => {
      reader.int32()
      return { errorCode: reader.int16(), producerId: reader.int64(), epoch: reader.int16() }
    },
  }
}
