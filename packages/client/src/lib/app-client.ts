import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { RecordMetadata } from '@millrace/core'
import type { Admin, MemberInfo, PartitionPosition, TopicInfo, Transport } from '@millrace/core/driver'
import type {
  AgentLag,
  AppTopic,
  CommandLineClient,
  CommandLineMessage,
  DeadLetters,
  Retries,
  MissingTopic,
  RecordsRequest,
  RowsRequest,
  ResetPlan,
  ResetRequest,
  ShownRecord,
  SkipPlan,
  TableReading,
  WindowsRequest,
  TableRows,
} from '@millrace/core/operations'
import { type Client, createClient } from '@millrace/worker'
import { agentLag } from './agent-lag.ts'
import { appTopics, groupReads, topicsReadBy } from './app-topics.ts'
import { committedOffsets } from './committed.ts'
import type { ClientApp, Connection } from './declared-app.ts'
import { missingTopics } from './missing-topics.ts'
import { readRecords } from './read-records.ts'
import { readRows, readTable } from './read-table.ts'
import { resetApp, resetPlan } from './reset.ts'
import { sendText, valueRequest } from './send-text.ts'
import { skipOffset, skipPlan } from './skip-offset.ts'

const TO_READ = { toRead: true } as const

/**
 * Broker access for an app outside its workers: it joins no group, connects on first use, and can be reused after it
 * was closed.
 */
export class AppClient implements CommandLineClient {
  readonly #app: ClientApp
  #connection: Promise<Connection> | undefined
  /** Connected to an empty stand-in when no log exists yet. */
  #empty: Promise<Connection> | undefined
  #topicsMade: Promise<void> | undefined
  #codecs: Promise<void> | undefined

  constructor(app: ClientApp) {
    this.#app = app
  }

  /**
   * Throws `BROKER_UNREACHABLE` after the connect timeout. If no log exists yet, reads use an empty stand-in, so that
   * they do not create one.
   */
  async connect({ toRead = false }: { readonly toRead?: boolean } = {}): Promise<Connection> {
    if (toRead && this.#connection === undefined) {
      const empty = await this.#app.emptyLog()
      if (empty !== undefined) return (this.#empty ??= this.#open(empty))
    }
    const connecting = (this.#connection ??= this.#openBroker())
    try {
      return await connecting
    } catch (error) {
      if (this.#connection === connecting) this.#connection = undefined
      throw error
    }
  }

  /** The client, once the app's declared topics exist: it may send before any worker has run. */
  async sender(): Promise<Client> {
    const { client, admin } = await this.connect()
    await this.#openCodecs()
    const making = (this.#topicsMade ??= this.#createDeclaredTopics(admin))
    try {
      await making
    } catch (error) {
      if (this.#topicsMade === making) this.#topicsMade = undefined
      throw error
    }
    return client
  }

  get deadLetters(): DeadLetters {
    return this.#app.deadLetters
  }

  get retries(): Retries {
    return this.#app.retries
  }

  async send(target: string, message: CommandLineMessage): Promise<RecordMetadata> {
    const connection = await this.connect()
    await this.#openCodecs()
    return sendText(connection, { target, ...message }, async (request) => (await this.sender()).send(request))
  }

  /** Sends a record whose key is typed as text and whose value is as for `topic.send`. */
  async sendValue(
    topic: string,
    record: { readonly key: string | undefined; readonly value: unknown },
  ): Promise<RecordMetadata> {
    await this.#openCodecs()
    const request = valueRequest(this.#app, topic, record)
    return (await this.sender()).send(request)
  }

  async *records(topic: string, request: RecordsRequest): AsyncGenerator<ShownRecord, void, undefined> {
    yield* readRecords(await this.#toRead(), topic, request)
  }

  async topics(): Promise<readonly TopicInfo[]> {
    return (await this.connect(TO_READ)).admin.topics()
  }

  async appTopics(): Promise<readonly AppTopic[]> {
    return appTopics(await this.connect(TO_READ))
  }

  async missingTopics(): Promise<readonly MissingTopic[]> {
    return missingTopics(await this.connect(TO_READ))
  }

  /** Names of the topics that an agent reads, including those between its steps. */
  async topicsReadBy(agent: string): Promise<ReadonlySet<string>> {
    const { declared } = this.#app
    const committed = await committedOffsets(await this.connect(TO_READ))
    return topicsReadBy(agent, declared.agents(), groupReads(committed))
  }

  async brokers(): Promise<number> {
    return (await this.connect(TO_READ)).admin.brokers()
  }

  async members(): Promise<readonly MemberInfo[]> {
    return (await this.connect(TO_READ)).admin.members(this.#app.surroundings.settings.id)
  }

  async lag(): Promise<readonly AgentLag[]> {
    return agentLag(await this.connect(TO_READ))
  }

  async readTable(name: string, key: string, windows?: WindowsRequest): Promise<TableReading> {
    return readTable(await this.#toRead(), { name, key, windows })
  }

  async readRows(name: string, options: RowsRequest): Promise<TableRows> {
    return readRows(await this.#toRead(), name, options)
  }

  async resetPlan(request: ResetRequest): Promise<ResetPlan> {
    return resetPlan(await this.connect(TO_READ), request)
  }

  async reset(plan: ResetPlan): Promise<void> {
    await resetApp(await this.connect(), plan)
  }

  async skipPlan(record: PartitionPosition): Promise<SkipPlan> {
    return skipPlan(await this.connect(TO_READ), record)
  }

  async skip(plan: SkipPlan): Promise<void> {
    await skipOffset((await this.connect()).admin, plan)
  }

  async run(work: () => Promise<void>): Promise<void> {
    const client = await this.sender()
    await this.#app.contexts.run({ client, worker: undefined, event: undefined, agent: undefined }, work)
  }

  async close(): Promise<void> {
    const open = [this.#connection, this.#empty]
    this.#connection = undefined
    this.#empty = undefined
    this.#topicsMade = undefined
    if (this.#codecs !== undefined) this.#app.codecs.close()
    this.#codecs = undefined
    for (const opening of open) {
      if (opening === undefined) continue
      const { client, transport } = await opening
      await this.#app.closing(client)
      await client.close()
      await transport.close()
    }
  }

  async #toRead(): Promise<Connection> {
    const connection = await this.connect(TO_READ)
    await this.#openCodecs()
    return connection
  }

  /** For what encodes or decodes. Throws what the sources of codecs throw. */
  async #openCodecs(): Promise<void> {
    const opening = (this.#codecs ??= this.#app.codecs.open())
    try {
      await opening
    } catch (error) {
      if (this.#codecs === opening) {
        this.#codecs = undefined
        this.#app.codecs.close()
      }
      throw error
    }
  }

  async #openBroker(): Promise<Connection> {
    return this.#open(await this.#app.openTransport())
  }

  async #open(transport: Transport): Promise<Connection> {
    const { settings, clock, log, redact } = this.#app.surroundings
    try {
      await transport.connect({ timeoutMs: settings.connectTimeoutMs })
    } catch (error) {
      await transport.close()
      throw error
    }
    const { id: appId, maxRecordBytes, topics } = settings
    const client = createClient({
      appId,
      clientId: makeWorkerId(),
      transport,
      clock,
      log,
      redact,
      maxRecordBytes,
      createTopics: topics.create,
    })
    return { app: this.#app, client, transport, admin: transport.admin() }
  }

  /** Creates the topics that the app names and may create, as a worker would; existing topics stay unchanged. */
  async #createDeclaredTopics(admin: Admin): Promise<void> {
    const { topicPartitions, replicationFactor, topics } = this.#app.surroundings.settings
    // A send reports whether its topic exists.
    if (!topics.create) return
    const named = this.#app.declared.topics().map(({ declaration }) => declaration)
    const known = new Set((await admin.topics(named.map(({ name }) => name))).map(({ name }) => name))
    const missing = named.filter(({ name, create }) => create && !known.has(name))
    if (missing.length === 0) return
    await admin.createTopics(
      missing.map(({ name, partitions = topicPartitions, config }) => ({
        name,
        partitions,
        replicationFactor,
        config,
      })),
    )
  }
}

/** Unique per process and run, and readable: `{host}-{pid}-{random}`. */
export function makeWorkerId(): string {
  return `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`
}
