import {
  deferred,
  manualClock,
  type Clock,
  type CommitOffset,
  type Logger,
  type ManualClock,
  MillraceError,
  type TopicPartition,
} from '@millrace/core'
import { BrokerLinks } from './cluster/broker-links.ts'
import type { KafkaClientContext } from './cluster/client-context.ts'
import { ClusterView } from './cluster/cluster-view.ts'
import { Reconnects } from './cluster/reconnects.ts'
import { kafkaSettings, type KafkaTransportOptions } from './kafka-transport-options.ts'
import { BrokerHealth } from './kafkajs/broker-health.ts'
import { BrokerLink } from './kafkajs/broker-link.ts'
import type { KafkajsClient } from './kafkajs/kafkajs-client.ts'
import type { ConnectionInternals } from './kafkajs/kafkajs-internals.ts'
import type { BrokerAddress } from './wire/requests/cluster.ts'
import { encodeAssignment, encodeSubscription } from './wire/requests/groups.ts'
import { writeByTopic } from './wire/requests/request-fields.ts'
import { WireReader } from './wire/wire-reader.ts'
import { APIS } from './wire/wire-request.ts'
import { WireWriter } from './wire/wire-writer.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** What a test may decide the answers to; the cluster itself answers the other two. */
export type ScriptedApi = Exclude<(typeof APIS)[keyof typeof APIS]['name'], 'Metadata' | 'FindCoordinator'>

/** The answer to one request, when it comes. What it throws cuts the connection. */
export type Script = (request: WireReader) => WireWriter | Promise<WireWriter>

/** A topic: the number of its partitions, all led by node 1; or their leaders; or the code that its look-up is answered with. */
export type ScriptedTopic = number | readonly number[] | { readonly code: number }

export interface ScriptedClusterOptions {
  readonly nodes?: number
  /** The number of the first. Default 1. */
  readonly firstNode?: number
  readonly settings?: Partial<KafkaTransportOptions>
}

/** A request that a node was sent. */
export interface SentRequest {
  readonly api: string
  readonly node: number
  readonly bytes: Buffer
}

/**
 * A cluster that answers in Kafka's bytes and at the moment that a test says: what a real one does once in a million
 * requests, it does when it is asked to. Everything above the connections is the driver as it is, under a manual clock.
 * `scriptedBroker` has a port, and the driver's connections with it.
 */
export class ScriptedCluster {
  readonly clock: ManualClock = manualClock()
  readonly context: KafkaClientContext
  /** By name; may change. */
  readonly topics: Record<string, ScriptedTopic>
  /** The node that coordinates every group and transactional id. */
  coordinator: number
  /** What its look-up is answered with. */
  coordinatorCode = 0
  /** Requests so far. */
  readonly sent: SentRequest[] = []
  /** Warnings so far. */
  readonly warnings: object[] = []
  /** Errors in the log so far. */
  readonly errors: object[] = []
  /** Clients that have closed. */
  readonly closed: object[] = []
  readonly #nodes: readonly BrokerAddress[]
  readonly #scripts = new Map<string, Script>()

  constructor(
    topics: Readonly<Record<string, ScriptedTopic>>,
    scripts: Partial<Record<ScriptedApi, Script>>,
    { nodes = 1, firstNode = 1, settings: options = {} }: ScriptedClusterOptions = {},
  ) {
    this.topics = { ...topics }
    this.coordinator = firstNode
    this.#nodes = Array.from({ length: nodes }, (_, nth) => ({
      nodeId: firstNode + nth,
      host: 'broker',
      port: 9092 + nth,
    }))
    const usual: Partial<Record<ScriptedApi, Script>> = {
      Heartbeat: () => code(0),
      OffsetCommit: () => committed([], 0),
      LeaveGroup: () => code(0),
    }
    for (const [api, script] of Object.entries({ ...usual, ...scripts })) this.#scripts.set(api, script)
    const { clock } = this
    const settings = kafkaSettings({ brokers: ['broker:9092'], clientId: 'scripted', ...options })
    const log: Logger = {
      ...silent,
      warn: (fields) => void this.warnings.push(fields),
      error: (fields) => void this.errors.push(fields),
    }
    const deps = { clock, log, health: new BrokerHealth({ clock, log: silent }) }
    const openLinks = (): BrokerLinks =>
      new ScriptedLinks(settings, deps, (api, address, request) => this.#answer(api, address, request))
    const control = openLinks()
    const view = new ClusterView(control, this.#nodes.slice(0, 1), clock)
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
      onClosed: (client) => void this.closed.push(client),
    }
  }

  /** From now on requests of this kind are answered so. */
  on(api: ScriptedApi, script: Script): void {
    this.#scripts.set(api, script)
  }

  /** The requests of this kind so far. */
  requests(api: ScriptedApi | 'Metadata' | 'FindCoordinator'): readonly SentRequest[] {
    return this.sent.filter((request) => request.api === api)
  }

  /** How many requests of this kind there were. */
  count(api: ScriptedApi | 'Metadata' | 'FindCoordinator'): number {
    return this.requests(api).length
  }

  async #answer(api: string, { nodeId, port }: BrokerAddress, bytes: Buffer): Promise<Buffer> {
    // Seeds have no number.
    const node = nodeId < 0 ? (this.#nodes.find((one) => one.port === port)?.nodeId ?? nodeId) : nodeId
    this.sent.push({ api, node, bytes })
    if (api === 'Metadata') return metadata(this.topics, this.#nodes).bytes()
    if (api === 'FindCoordinator') {
      const found = this.#nodes.find((one) => one.nodeId === this.coordinator)
      if (found === undefined)
        return new WireWriter().int32(0).int16(15).string(null).int32(-1).string('').int32(-1).bytes()
      return new WireWriter()
        .int32(0)
        .int16(this.coordinatorCode)
        .string(null)
        .int32(found.nodeId)
        .string(found.host)
        .int32(found.port)
        .bytes()
    }
    const script = this.#scripts.get(api)
    if (script === undefined) throw new Error(`The scripted cluster has no answer to ${api}.`)
    const reader = new WireReader(bytes)
    const isFlexible = Object.values(APIS).some((one) => one.name === api && 'flexible' in one)
    if (isFlexible) reader.skipTags()
    return (await script(reader)).bytes()
  }
}

/** Asks for an answer to a request of this name, at this node. */
type Ask = (api: string, address: BrokerAddress, request: Buffer) => Promise<Buffer>

class ScriptedLinks extends BrokerLinks {
  readonly #ask: Ask
  readonly #deps: { readonly clock: Clock; readonly health: BrokerHealth }
  readonly #requestTimeoutMs: number
  readonly #byPort = new Map<number, BrokerLink>()
  #isClosed = false

  constructor(
    settings: ConstructorParameters<typeof BrokerLinks>[0],
    deps: ConstructorParameters<typeof BrokerLinks>[1],
    ask: Ask,
  ) {
    super(settings, deps)
    this.#deps = deps
    this.#ask = ask
    this.#requestTimeoutMs = settings.requestTimeoutMs
  }

  override ready(address: BrokerAddress): BrokerLink | undefined {
    const link = this.#byPort.get(address.port)
    return link?.usable === true ? link : undefined
  }

  override async to(address: BrokerAddress): Promise<BrokerLink> {
    if (this.#isClosed) throw new MillraceError('CLOSED', 'The connection to Kafka is closed.')
    const link = this.ready(address) ?? this.#connect(address)
    this.#byPort.set(address.port, link)
    return link
  }

  override close(): void {
    this.#isClosed = true
    for (const link of this.#byPort.values()) link.close()
  }

  #connect(address: BrokerAddress): BrokerLink {
    const cut = deferred<never>()
    cut.promise.catch(() => {})
    let tail: Promise<unknown> = Promise.resolve()
    const connection: ConnectionInternals = {
      isConnected: () => true,
      send: async ({ request, response }) => {
        const { buffer } = await request.encode()
        // A broker takes the requests of one connection in order, the next when the one before is answered.
        const answering = tail.then(() => this.#ask(request.apiName, address, buffer))
        tail = answering.catch(() => {})
        return response.parse(await response.decode(await Promise.race([answering, cut.promise])))
      },
    }
    const client = clientOf(() => cut.reject(new Error('The connection is closed.')))
    return new BrokerLink(address, client, connection, { requestTimeoutMs: this.#requestTimeoutMs, ...this.#deps })
  }
}

function clientOf(destroySockets: () => void): KafkajsClient {
  return {
    cluster: {
      connectionPoolBuilder: { build: () => Promise.reject(new Error('A scripted cluster has no connections.')) },
      brokerPool: {
        createBroker: () => {
          throw new Error('A scripted cluster has no kafkajs behind it.')
        },
      },
      rootLogger: undefined,
    },
    destroySockets,
  }
}

function metadata(topics: Readonly<Record<string, ScriptedTopic>>, nodes: readonly BrokerAddress[]): WireWriter {
  const writer = new WireWriter().noTags().int32(0)
  writer.compactArray(nodes, ({ nodeId, host, port }) =>
    writer.int32(nodeId).compactString(host).int32(port).compactString(null).noTags(),
  )
  writer.compactString('cluster').int32(1)
  writer.compactArray(Object.entries(topics), ([name, topic]) => {
    const refusal = typeof topic === 'object' && 'code' in topic ? topic.code : 0
    const leaders = typeof topic === 'number' ? new Array<number>(topic).fill(1) : 'code' in topic ? [] : topic
    writer.int16(refusal).compactString(name).raw(Buffer.alloc(16)).boolean(false)
    writer.compactArray(
      leaders.map((leader, partition) => ({ leader, partition })),
      ({ leader, partition }) => {
        writer.int16(0).int32(partition).int32(leader).int32(0)
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

/** A join that is refused, or that wants another round under this member id. */
export function notJoined(errorCode: number, memberId: string = ''): WireWriter {
  const writer = new WireWriter().int32(0).int16(errorCode).int32(-1)
  return writer.string('').string('').string(memberId).int32(0)
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

/** A sync that is refused. */
export function notSynced(errorCode: number): WireWriter {
  return new WireWriter().int32(0).int16(errorCode).data(Buffer.alloc(0))
}

/** An answer that has nothing but an error code. */
export function code(errorCode: number): WireWriter {
  return new WireWriter().int32(0).int16(errorCode)
}

/** The same code for each of these offsets. */
export function committed(
  offsets: readonly Pick<CommitOffset, 'topic' | 'partition'>[],
  errorCode: number,
): WireWriter {
  return perPartition(offsets.map(({ topic, partition }) => ({ topic, partition, errorCode })))
}

/** A code for each of these partitions. */
export function perPartition(results: readonly (TopicPartition & { readonly errorCode: number })[]): WireWriter {
  const writer = new WireWriter().int32(0)
  writeByTopic(writer, results, ({ partition, errorCode }) => writer.int32(partition).int16(errorCode))
  return writer
}
