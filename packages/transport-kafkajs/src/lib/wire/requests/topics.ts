import type { TopicSpec } from '@millrace/core'
import { APIS, type WireRequest } from '../wire-request.ts'

export interface TopicResult {
  readonly topic: string
  readonly errorCode: number
  readonly message: string | undefined
}

export function createTopicsRequest(
  specs: readonly TopicSpec[],
  timeoutMs: number,
): WireRequest<readonly TopicResult[]> {
  return {
    api: APIS.createTopics,
    encode: (writer) => {
      writer.array(specs, (spec) => {
        writer.string(spec.name).int32(spec.partitions).int16(spec.replicationFactor).int32(0)
        writer.array(Object.entries(spec.config), ([name, value]) => writer.string(name).string(value))
      })
      writer.int32(timeoutMs).boolean(false)
    },
    decode: (reader) => {
      reader.int32()
      return reader.array(() => ({
        topic: reader.text(),
        errorCode: reader.int16(),
        message: reader.string() ?? undefined,
      }))
    },
  }
}

export function deleteTopicsRequest(names: readonly string[], timeoutMs: number): WireRequest<readonly TopicResult[]> {
  return {
    api: APIS.deleteTopics,
    encode: (writer) => writer.array(names, (name) => writer.string(name)).int32(timeoutMs),
    decode: (reader) => {
      reader.int32()
      return reader.array(() => ({ topic: reader.text(), errorCode: reader.int16(), message: undefined }))
    },
  }
}
