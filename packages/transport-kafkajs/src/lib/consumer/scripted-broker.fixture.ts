import {
  manualClock,
  type Clock,
  type CommitOffset,
  type Logger,
  type ManualClock,
  type TopicPartition,
} from '@millrace/core'
import { BrokerLinks } from '../cluster/broker-links.ts'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { ClusterView } from '../cluster/cluster-view.ts'
import { Reconnects } from '../cluster/reconnects.ts'
import { kafkaSettings } from '../kafka-transport-options.ts'
import { BrokerHealth } from '../kafkajs/broker-health.ts'
import { BrokerLink } from '../kafkajs/broker-link.ts'
import type { KafkajsClient } from '../kafkajs/kafkajs-client.ts'
import type { ConnectionInternals } from '../kafkajs/kafkajs-internals.ts'
import type { BrokerAddress } from '../wire/requests/cluster.ts'
import { encodeAssignment, encodeSubscription } from '../wire/requests/groups.ts'
import { writeByTopic } from '../wire/requests/request-fields.ts'
import { WireWriter } from '../wire/wire-writer.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const ADDRESS: BrokerAddress = { nodeId: 1, host: 'broker', port: 9092 }

/** What a test decides the answers to. */
export type ScriptedApi = 'JoinGroup' | 'SyncGroup' | 'Heartbeat' | 'OffsetCommit' | 'LeaveGroup'

/** The answer to one request, when it comes. */
export type Script = () => WireWriter | Promise<WireWriter>

/**
 * A broker of one node that answers in Kafka's bytes and at the moment that a test says: what a real one does once in a
 * million requests, it does when it is asked to. Everything above the connection is the driver as it is.
 */
export class ScriptedBroker {
  readonly clock: ManualClock = manualClock()
  readonly context: KafkaClientContext
  /** Names of the requests so far. */
  readonly requests: string[] = []
  /** Metadata requests so far, as bytes. */
  readonly lookUps: Buffer[] = []
  /** Warnings so far. */
  readonly warnings: object[] = []
  readonly #topics: Readonly<Record<string, number>>
  readonly #scripts: Record<ScriptedApi, Script>

  /** @param topics partition counts by name */
  constructor(
    topics: Readonly<Record<string, number>>,
    scripts: Pick<Record<ScriptedApi, Script>, 'JoinGroup' | 'SyncGroup'>,
  ) {
    this.#topics = topics
    this.#scripts = {
      Heartbeat: () => code(0),
      OffsetCommit: () => committed([], 0),
      LeaveGroup: () => code(0),
      ...scripts,
    }
    const { clock } = this
    const settings = kafkaSettings({ brokers: ['broker:9092'], clientId: 'scripted' })
    const log: Logger = { ...silent, warn: (fields) => void this.warnings.push(fields) }
    const deps = { clock, log, health: new BrokerHealth({ clock, log: silent }) }
    const openLinks = (): BrokerLinks =>
      new ScriptedLinks(settings, deps, (api, request) => {
        if (api === 'Metadata') this.lookUps.push(request)
        return this.#answer(api)
      })
    const control = openLinks()
    const view = new ClusterView(control, [ADDRESS], clock)
    const reconnects = new Reconnects(view, deps)
    this.context = {
      settings,
      clock,
      log,
      view,
      reconnects,
      control,
      openLinks,
      codecs: () => ({}),
      onClosed: () => {},
    }
  }

  /** From now on requests of this kind are answered so. */
  on(api: ScriptedApi, script: Script): void {
    this.#scripts[api] = script
  }

  /** How many requests of this kind there were. */
  count(api: ScriptedApi): number {
    return this.requests.filter((name) => name === api).length
  }

  async #answer(api: string): Promise<Buffer> {
    this.requests.push(api)
    if (api === 'Metadata') return metadata(this.#topics).bytes()
    if (api === 'FindCoordinator')
      return new WireWriter().int32(0).int16(0).string(null).int32(1).string(ADDRESS.host).int32(ADDRESS.port).bytes()
    if (!isScripted(api)) throw new Error(`The scripted broker has no answer to ${api}.`)
    return (await this.#scripts[api]()).bytes()
  }
}

class ScriptedLinks extends BrokerLinks {
  readonly #answer: (api: string, request: Buffer) => Promise<Buffer>
  readonly #deps: { readonly clock: Clock; readonly health: BrokerHealth }

  constructor(
    settings: ConstructorParameters<typeof BrokerLinks>[0],
    deps: ConstructorParameters<typeof BrokerLinks>[1],
    answer: (api: string, request: Buffer) => Promise<Buffer>,
  ) {
    super(settings, deps)
    this.#deps = deps
    this.#answer = answer
  }

  override ready(): BrokerLink | undefined {
    return undefined
  }

  override async to(): Promise<BrokerLink> {
    const connection: ConnectionInternals = {
      isConnected: () => true,
      send: async ({ request, response }) => {
        const { buffer } = await request.encode()
        return response.parse(await response.decode(await this.#answer(request.apiName, buffer)))
      },
    }
    return new BrokerLink(ADDRESS, NO_CLIENT, connection, { requestTimeoutMs: 30_000, ...this.#deps })
  }
}

const NO_CLIENT: KafkajsClient = {
  cluster: {
    connectionPoolBuilder: { build: () => Promise.reject(new Error('There is no connection to a scripted broker.')) },
    brokerPool: {
      createBroker: () => {
        throw new Error('There is no kafkajs behind a scripted broker.')
      },
    },
    rootLogger: undefined,
  },
  destroySockets: () => {},
}

function isScripted(api: string): api is ScriptedApi {
  return ['JoinGroup', 'SyncGroup', 'Heartbeat', 'OffsetCommit', 'LeaveGroup'].includes(api)
}

function metadata(topics: Readonly<Record<string, number>>): WireWriter {
  const writer = new WireWriter().noTags().int32(0)
  writer.compactArray([ADDRESS], ({ nodeId, host, port }) =>
    writer.int32(nodeId).compactString(host).int32(port).compactString(null).noTags(),
  )
  writer.compactString('cluster').int32(1)
  writer.compactArray(Object.entries(topics), ([name, count]) => {
    writer.int16(0).compactString(name).raw(Buffer.alloc(16)).boolean(false)
    writer.compactArray(
      Array.from({ length: count }, (_, partition) => partition),
      (partition) => {
        writer.int16(0).int32(partition).int32(1).int32(0)
        for (let list = 0; list < 3; list++) writer.compactArray(list === 2 ? [] : [1], (node) => writer.int32(node))
        writer.noTags()
      },
    )
    writer.int32(0).noTags()
  })
  return writer
}

/** Joined as a follower. */
export function joined(generation: number, memberId: string = 'me'): WireWriter {
  const writer = new WireWriter().int32(0).int16(0).int32(generation)
  return writer.string('test').string('the leader').string(memberId).int32(0)
}

/** Joined as the leader of a group of these members, with the topics that each subscribes to. */
export function joinedAsLeader(generation: number, members: Readonly<Record<string, readonly string[]>>): WireWriter {
  const writer = new WireWriter().int32(0).int16(0).int32(generation).string('test').string('me').string('me')
  return writer.array(Object.entries(members), ([id, topics]) =>
    writer
      .string(id)
      .string(null)
      .data(encodeSubscription({ topics, data: Buffer.alloc(0) }, 0)),
  )
}

/** Assigned these partitions. */
export function synced(partitions: readonly TopicPartition[]): WireWriter {
  const none = Buffer.alloc(0)
  return new WireWriter()
    .int32(0)
    .int16(0)
    .data(encodeAssignment({ partitions, groupData: none, ownData: none }))
}

/** An answer that has nothing but an error code. */
export function code(errorCode: number): WireWriter {
  return new WireWriter().int32(0).int16(errorCode)
}

/** The same code for each of these offsets. */
export function committed(offsets: readonly CommitOffset[], errorCode: number): WireWriter {
  const writer = new WireWriter().int32(0)
  writeByTopic(writer, offsets, ({ partition }) => writer.int32(partition).int16(errorCode))
  return writer
}
