import { type Logger, manualClock, type ManualClock, MillraceError, resolveSettings, toError } from '@millrace/core'
import type { Consumer, StoreDriver, TopicSettings, Transport } from '@millrace/core/driver'
import {
  createMemoryLog,
  createMemoryTransport,
  type MemoryLog,
  type MemoryTransport,
} from '@millrace/transport-embedded'
import {
  type Client,
  type ContextStorage,
  createClient,
  createWorker,
  type SendRequest,
  type Worker,
  type WorkerContext,
  type WorkerPart,
  type WorkerSettings,
  workerSettings,
} from '@millrace/worker'

export interface EngineOptions {
  /** Default `app`. */
  readonly appId?: string
  /** Default `worker-1`. */
  readonly workerId?: string
  /** One that other engines use too. Default: an empty one. */
  readonly log?: MemoryLog
  /** Default: one of its own. */
  readonly clock?: ManualClock
  readonly settings?: Partial<WorkerSettings>
  /** Closed by the worker. Default: one that opens nothing, for parts without states. */
  readonly store?: StoreDriver
  readonly contexts?: ContextStorage
  readonly freeze?: boolean
  /** Where other workers reach this one. */
  readonly webAddress?: string
  /** What the worker gets in place of the memory transport itself. */
  readonly wrap?: (transport: MemoryTransport) => Transport
}

/** Of real time; what happens under a manual clock takes milliseconds. */
const LIMIT_MS = 10_000

const TEST_SETTINGS: Partial<WorkerSettings> = {
  commitIntervalMs: 20,
  topicPartitions: 8,
  // What went through a repartition topic stays, so that tests can look at it.
  repartitionPurgeIntervalMs: 0,
  shutdownTimeoutMs: 2000,
}

/**
 * A worker of `@millrace/worker` on a memory log, under a clock that stands still unless a test waits or advances it. It
 * runs whatever parts a test gives it.
 *
 * @example
 * await using engine = new Engine()
 * await engine.start(part)
 * await engine.produce({ topic: 'posts', value: Buffer.from('hello') })
 * await engine.until('it is handled', () => handled === 1)
 */
export class Engine {
  readonly appId: string
  readonly clock: ManualClock
  readonly log: MemoryLog
  /** The worker's. */
  readonly transport: MemoryTransport
  /** Sends and reads from outside the worker. */
  readonly client: Client
  readonly logged: { readonly level: string; readonly message: string }[] = []
  /** What the worker and its parts have reported to the sensor. */
  readonly errors: { readonly source: string; readonly error: unknown }[] = []
  /** What has ended the worker, once it has ended. */
  failure: Error | undefined
  readonly #options: EngineOptions
  readonly #outside: MemoryTransport
  readonly #logger: Logger
  #worker: Worker | undefined
  #member: Consumer | undefined

  constructor(options: EngineOptions = {}) {
    this.#options = options
    this.appId = options.appId ?? 'app'
    this.clock = options.clock ?? manualClock()
    this.log = options.log ?? createMemoryLog()
    const log = (level: string) => (_: object, message: string) => void this.logged.push({ level, message })
    this.#logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
    this.transport = this.#transport()
    const join = this.transport.consumer.bind(this.transport)
    this.transport.consumer = (member) => (this.#member = join(member))
    this.#outside = this.#transport()
    this.client = createClient({
      appId: this.appId,
      clientId: 'outside',
      transport: this.#outside,
      clock: this.clock,
      log: this.#logger,
    })
  }

  /** Throws before `start`. */
  get worker(): Worker {
    if (this.#worker === undefined) throw new MillraceError('NO_WORKER', 'The engine was not started.')
    return this.#worker
  }

  /** `undefined` before `start`. */
  get context(): WorkerContext | undefined {
    return this.#worker?.context
  }

  /** Resolves when the worker has joined and runs; rejects with the error that made it fail. */
  async start(...parts: readonly WorkerPart[]): Promise<void> {
    const { workerId = 'worker-1', settings, store = NO_STORE, contexts, freeze = true, wrap } = this.#options
    const { webAddress } = this.#options
    this.#worker = createWorker({
      appId: this.appId,
      workerId,
      transport: wrap?.(this.transport) ?? this.transport,
      store,
      clock: this.clock,
      log: this.#logger,
      sensor: {
        batchFetched: () => {},
        sendCompleted: () => {},
        commitCompleted: () => {},
        rebalanceStarted: () => {},
        rebalanceCompleted: () => {},
        recoveryProgress: () => {},
        errorRaised: (error) => void this.errors.push(error),
      },
      parts,
      settings: {
        ...workerSettings(resolveSettings({ argument: { id: this.appId } })),
        ...TEST_SETTINGS,
        ...settings,
      },
      webAddress: () => webAddress,
      ...(contexts === undefined ? {} : { contexts }),
      freeze,
    })
    this.#worker.finished.catch((thrown: unknown) => (this.failure = toError(thrown)))
    await this.during(this.#worker.start())
  }

  /** Drains, commits, leaves. */
  async stop(): Promise<void> {
    await this.during(this.worker.stop())
  }

  /** Stops the worker hard where it still runs, and closes the client. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#worker !== undefined) await this.during(this.#worker.stop({ hard: true }))
    await this.client.close()
    await this.#outside.close()
  }

  /** Makes a topic before the worker does. */
  async createTopic(name: string, partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#outside.admin().createTopics([{ name, partitions, replicationFactor: -1, config }])
  }

  async topicSettings(name: string): Promise<TopicSettings | undefined> {
    return (await this.#outside.admin().topicSettings([name]))[0]
  }

  /** Writes a record from outside. */
  async produce(record: Pick<SendRequest, 'topic' | 'value'> & Partial<SendRequest>): Promise<void> {
    const timestamp = this.clock.now()
    await this.client.send({ key: null, headers: [], timestamp, partition: undefined, ...record })
  }

  /** The records of a topic, partition by partition. */
  records(topic: string): ReturnType<MemoryLog['records']> {
    return this.log.records(topic)
  }

  /** The group rebalances: events in flight are waited for, and every task stays where it is. */
  rebalance(): void {
    this.#member?.rejoin()
  }

  /** The worker loses its place in the group, and with it all its tasks; it joins again by itself. */
  expire(): void {
    this.transport.expire()
  }

  /** Lets time pass, a millisecond at a time, until the condition holds: 10 s of real time at most. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const endMs = performance.now() + LIMIT_MS
    while (!condition()) {
      if (performance.now() > endMs) throw new Error(`This did not happen within ${LIMIT_MS} ms: ${what}`)
      await this.clock.advance(1)
    }
  }

  /** Lets time pass until the promise has settled, and gives its outcome. */
  async during<T>(outcome: Promise<T>): Promise<T> {
    let isSettled = false
    const settle = (): void => void (isSettled = true)
    outcome.then(settle, settle)
    await this.until('the outcome of a promise', () => isSettled)
    return await outcome
  }

  #transport(): MemoryTransport {
    return createMemoryTransport(this.log, { clock: this.clock, log: this.#logger })
  }
}

const NO_STORE: StoreDriver = {
  capabilities: { name: 'none', durable: false },
  open: () => Promise.reject(new Error('These tests keep no state: give the engine a store.')),
  checkpoint: () => undefined,
  commit: async () => {},
  close: async () => {},
}
