import { APIS, type WireRequest } from '../wire-request.ts'

export interface BrokerAddress {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export interface MetadataTopic {
  readonly errorCode: number
  readonly name: string
  readonly id: string
  readonly partitions: readonly { readonly partition: number; readonly leader: number; readonly replicas: number }[]
}

export interface Metadata {
  readonly nodes: readonly BrokerAddress[]
  readonly topics: readonly MetadataTopic[]
}

/** Brokers, and the topics named (all of them for `undefined`) with their leaders. Creates nothing. */
export function metadataRequest(topics: readonly string[] | undefined): WireRequest<Metadata> {
  return {
    api: APIS.metadata,
    encode: (writer) => {
      if (topics === undefined) writer.unsignedVarint(0)
      else writer.compactArray(topics, (name) => writer.raw(NO_ID).compactString(name).noTags())
      writer.boolean(false).boolean(false).boolean(false).noTags()
    },
    decode: (reader) => {
      reader.int32()
      const nodes = reader.compactArray(() => {
        const nodeId = reader.int32()
        const host = reader.compactString() ?? ''
        const port = reader.int32()
        reader.compactString()
        reader.skipTags()
        return { nodeId, host, port }
      })
      reader.compactString()
      // Who controls the cluster.
      reader.int32()
      const topicsFound = reader.compactArray(() => {
        const errorCode = reader.int16()
        const name = reader.compactString() ?? ''
        const id = reader.raw(16).toString('hex')
        reader.boolean()
        const partitions = reader.compactArray(() => {
          reader.int16()
          const partition = reader.int32()
          const leader = reader.int32()
          reader.int32()
          const skipNode = (): number => reader.int32()
          const replicas = reader.compactArray(skipNode).length
          // In-sync and offline ones.
          reader.compactArray(skipNode)
          reader.compactArray(skipNode)
          reader.skipTags()
          return { partition, leader, replicas }
        })
        reader.int32()
        reader.skipTags()
        return { errorCode, name, id, partitions }
      })
      return { nodes, topics: topicsFound }
    },
  }
}

const NO_ID = Buffer.alloc(16)

export interface Coordinator extends BrokerAddress {
  readonly errorCode: number
}

/** The broker that keeps a group, or the transactions of a transactional id. */
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
