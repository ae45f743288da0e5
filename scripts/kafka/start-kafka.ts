import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatNodes } from './format-nodes.ts'
import { freePorts } from './free-ports.ts'
import { startGuard } from './guard.ts'
import { kafkaJars } from './jars.ts'
import { endProcess, launchNode, untilReady } from './kafka-process.ts'
import type { KafkaNode, Listener, SaslUser } from './server-properties.ts'

export interface StartKafkaOptions {
  /** Number of nodes, each broker and controller. Default 1. */
  readonly brokers?: number
  /** Where nodes keep their data. Default: a temporary directory, removed by `stop`. */
  readonly directory?: string
  /** Nodes use ports from here upwards, two each (one more with SASL, and for each further listener). Default: free ones. */
  readonly firstPort?: number
  /** Where clients are told to connect to each node, when something like a proxy stands between. Default: the nodes' ports. */
  readonly advertisedPorts?: readonly number[]
  /** Also listen for SASL clients (plain, scram-sha-256, scram-sha-512) with this user. */
  readonly sasl?: SaslUser
  /** Listen in further ways. */
  readonly listeners?: readonly Listener[]
  /** Let the nodes live on when this process ends. Default false: they end with it, even after `kill -9`. */
  readonly detached?: boolean
  /** Settings of the brokers, by Kafka's names, over those that tests have anyway. */
  readonly settings?: Readonly<Record<string, string>>
  /** Further options of Java. */
  readonly java?: readonly string[]
}

export interface KafkaCluster {
  /** host:port[,host:port] */
  readonly brokers: string
  /** The same for the SASL listener; empty without `sasl`. */
  readonly saslBrokers: string
  /** `localhost:port` of each node for one of `listeners`. */
  brokersOf(listener: string): readonly string[]
  readonly nodes: readonly KafkaNode[]
  readonly pids: readonly number[]
  /** Ends node `n` (counted from 1) with SIGKILL and waits until it has gone. */
  kill(n: number): Promise<void>
  /** Starts node `n` again on its data and ports; resolves when it is ready. */
  resume(n: number): Promise<void>
  /** Ends all nodes and removes their data. */
  stop(): Promise<void>
}

/**
 * Starts a real Apache Kafka (KRaft) from Maven Central's jars; needs Java 17 and Maven. Ready after about 6 s; the
 * first call ever fetches 100 MB of jars.
 *
 * @example
 * const kafka = await startKafka({ brokers: 3 })
 * await kafka.kill(1)
 * await kafka.resume(1)
 * await kafka.stop()
 */
export async function startKafka(options: StartKafkaOptions = {}): Promise<KafkaCluster> {
  const jars = await kafkaJars()
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'millrace-kafka-')))
  const nodes = await planNodes(directory, options)
  const guard = options.detached === true ? undefined : startGuard()
  guard?.stdin.write(`directory ${directory}\n`)
  const pids = new Map<number, number>()

  const launch = async (node: KafkaNode): Promise<void> => {
    const pid = await launchNode(node, jars, options.java)
    pids.set(node.id, pid)
    guard?.stdin.write(`pid ${pid}\n`)
    await untilReady(node, pid)
  }
  const end = async (node: KafkaNode): Promise<void> => {
    const pid = pids.get(node.id)
    if (pid === undefined) return
    await endProcess(pid, { politeMs: 0 })
    pids.delete(node.id)
    guard?.stdin.write(`gone ${pid}\n`)
  }
  const nodeNumbered = (n: number): KafkaNode => {
    const node = nodes[n - 1]
    if (node === undefined) throw new Error(`There is no Kafka node ${n}; there are ${nodes.length}.`)
    return node
  }
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map(end))
    await rm(directory, { recursive: true, force: true })
    guard?.stdin.end('released\n')
  }
  try {
    await formatNodes(nodes, jars, options)
    await Promise.all(nodes.map(launch))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    brokers: nodes.map((node) => `127.0.0.1:${node.port}`).join(','),
    saslBrokers: options.sasl === undefined ? '' : nodes.map((node) => `127.0.0.1:${node.saslPort}`).join(','),
    brokersOf: (listener) =>
      nodes.flatMap(({ listeners }) =>
        listeners.filter(({ name }) => name === listener).map(({ port }) => `localhost:${port}`),
      ),
    nodes,
    get pids() {
      return [...pids.values()]
    },
    kill: (n) => end(nodeNumbered(n)),
    resume: (n) => launch(nodeNumbered(n)),
    stop,
  }
}

async function planNodes(directory: string, options: StartKafkaOptions): Promise<KafkaNode[]> {
  const count = options.brokers ?? 1
  const listeners = options.listeners ?? []
  const saslPorts = options.sasl === undefined ? 0 : 1
  const each = 2 + saslPorts + listeners.length
  const first = options.firstPort
  const ports =
    first === undefined ? await freePorts(count * each) : Array.from({ length: count * each }, (_, i) => first + i)
  return Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    port: ports[i * each] ?? 0,
    advertisedPort: options.advertisedPorts?.[i] ?? ports[i * each] ?? 0,
    controllerPort: ports[i * each + 1] ?? 0,
    saslPort: saslPorts === 1 ? (ports[i * each + 2] ?? 0) : 0,
    listeners: listeners.map((listener, j) => ({ ...listener, port: ports[i * each + 2 + saslPorts + j] ?? 0 })),
    directory: join(directory, `node${i + 1}`),
  }))
}
