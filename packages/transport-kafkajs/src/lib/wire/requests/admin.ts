import type { MemberInfo, PartitionPosition, TopicSpec } from '@millrace/core/driver'
import { APIS, type WireRequest } from '../wire-request.ts'
import { readByTopic, writeByTopic, type PartitionResult } from './request-fields.ts'

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

export interface DescribedTopic {
  readonly topic: string
  readonly errorCode: number
  /** Settings in effect, by Kafka's names; `null` if the broker withholds the value. */
  readonly config: ReadonlyMap<string, string | null>
}

const TOPIC = 2

/** Named settings of topics. Any broker knows them all. */
export function describeConfigsRequest(
  topics: readonly string[],
  names: readonly string[],
): WireRequest<readonly DescribedTopic[]> {
  return {
    api: APIS.describeConfigs,
    encode: (writer) => {
      writer.array(topics, (topic) => {
        writer.int8(TOPIC).string(topic)
        writer.array(names, (name) => writer.string(name))
      })
      // Without synonyms.
      writer.boolean(false)
    },
    decode: (reader) => {
      reader.int32()
      return reader.array(() => {
        const errorCode = reader.int16()
        reader.string()
        reader.int8()
        const topic = reader.text()
        const config = reader.array(() => {
          const name = reader.text()
          const value = reader.string()
          // Read-only, source, sensitive.
          reader.boolean()
          reader.int8()
          reader.boolean()
          reader.array(() => {
            reader.text()
            reader.string()
            reader.int8()
          })
          return [name, value] as const
        })
        return { topic, errorCode, config: new Map(config) }
      })
    },
  }
}

/** Goes to the leader of the partitions. It answers when its followers have deleted too, or after the time-out. */
export function deleteRecordsRequest(
  before: readonly PartitionPosition[],
  timeoutMs: number,
): WireRequest<readonly PartitionResult[]> {
  return {
    api: APIS.deleteRecords,
    encode: (writer) => {
      writeByTopic(writer, before, ({ partition, offset }) => writer.int32(partition).int64(offset))
      writer.int32(timeoutMs)
    },
    decode: (reader) => {
      reader.int32()
      return readByTopic(reader, (topic) => {
        const partition = reader.int32()
        reader.int64()
        return { topic, partition, errorCode: reader.int16() }
      })
    },
  }
}

export interface DescribedGroup {
  readonly errorCode: number
  readonly members: readonly MemberInfo[]
}

/** The members of one group. A group that never existed answers like one without members. */
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

/** Returns the error code. */
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
