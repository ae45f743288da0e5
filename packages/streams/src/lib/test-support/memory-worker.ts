import {
  type Clock,
  type EventFeed,
  type Logger,
  MillraceError,
  type OpenPart,
  partitionForKey,
  type RawRecord,
  type Reader,
  type RecordBatch,
  type RecordMetadata,
  type SendRequest,
  type Sensor,
  type SubscriptionSpec,
  systemClock,
  type Task,
  type TopicDeclaration,
  type Topology,
  type TopicSpec,
  type WorkerContext,
  type WorkerPart,
} from '@millrace/core'
import { Wakeup } from '../streams/wakeup.ts'
import { MemoryEvent, type MemoryEventHome } from './memory-event.ts'
import { MemoryFeed } from './memory-feed.ts'

interface Subscription {
  readonly spec: SubscriptionSpec
  readonly feeds: readonly MemoryFeed[]
}

/** A worker for tests of this package alone: topics are lists, events are handed out at once, nothing is committed. */
export class MemoryWorker implements WorkerContext, Topology {
  readonly id: string = 'memory-worker'
  readonly appId: string
  readonly clock: Clock
  readonly exactlyOnce: boolean
  readonly log: Logger
  readonly sensor: Sensor
  readonly topics: Map<string, TopicDeclaration> = new Map()
  readonly subscriptions: Subscription[] = []
  readonly logged: { readonly level: string; readonly message: string }[] = []
  readonly errors: { readonly source: string; readonly error: unknown }[] = []
  failure: Error | undefined
  readonly #records = new Map<string, RawRecord[][]>()
  readonly #tasks = new Map<number, Task>()
  readonly #abort = new AbortController()
  readonly #arrivals = new Set<Wakeup>()
  #parts: readonly WorkerPart[] = []
  #started = false
  #roundRobin = 0

  constructor({ appId = 'app', clock = systemClock(), exactlyOnce = false }: { appId?: string; clock?: Clock; exactlyOnce?: boolean } = {}) {
    this.appId = appId
    this.clock = clock
    this.exactlyOnce = exactlyOnce
    const log = (level: string) => (_: object, message: string) => void this.logged.push({ level, message })
    this.log = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
    this.sensor = {
      batchFetched: () => {},
      sendCompleted: () => {},
      commitCompleted: () => {},
      rebalanceStarted: () => {},
      rebalanceCompleted: () => {},
      recoveryProgress: () => {},
      errorRaised: (error) => void this.errors.push(error),
    }
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  async start(...parts: readonly WorkerPart[]): Promise<void> {
    this.#parts = parts
    for (const part of parts) part.declare(this, this)
    // As a broker would take its time: declarations after the handlers' first await come too late.
    await new Promise((resolve) => setImmediate(resolve))
    this.#started = true
    for (const part of parts) await part.start()
    for (const part of parts) part.ready()
  }

  async stop(): Promise<void> {
    for (const { feeds } of this.subscriptions) for (const feed of feeds) feed.close()
    for (const part of [...this.#parts].reverse()) await part.stop()
  }

  fail(error: Error): void {
    this.failure ??= error
    for (const { feeds } of this.subscriptions) for (const feed of feeds) feed.close()
    this.#abort.abort(error)
  }

  topic(declaration: TopicDeclaration): void {
    if (this.topics.has(declaration.name)) return
    this.#assertEarly(declaration.name)
    this.topics.set(declaration.name, declaration)
  }

  subscribe(spec: SubscriptionSpec): readonly EventFeed[] {
    this.#assertEarly(spec.id)
    const feeds = Array.from({ length: spec.instances }, () => new MemoryFeed(this.clock))
    this.subscriptions.push({ spec, feeds })
    return feeds
  }

  part(): void {}

  openPart(): undefined {
    return undefined
  }

  openParts(): ReadonlyMap<number, OpenPart> {
    return new Map<number, OpenPart>()
  }

  partitionsOf(): undefined {
    return undefined
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    for (const { name, partitions, config } of specs)
      this.topics.set(name, { name, partitions, config, create: true, internal: true, keyCodec: undefined })
  }

  async partitions(topic: string): Promise<number> {
    return this.#partitionsOf(topic)
  }

  async send(request: SendRequest): Promise<RecordMetadata> {
    return this.produce(request)
  }

  /** What a topic holds, in order of its partitions. */
  records(topic: string): readonly RawRecord[] {
    return (this.#records.get(topic) ?? []).flat()
  }

  produce({ topic, key, value, headers, timestamp, partition }: SendRequest): RecordMetadata {
    const count = this.#partitionsOf(topic)
    const at = partition ?? (key === null ? this.#roundRobin++ % count : partitionForKey(key, count))
    const partitions = this.#records.get(topic) ?? Array.from({ length: count }, () => [])
    this.#records.set(topic, partitions)
    const records = partitions[at]
    if (records === undefined) throw new MillraceError('PARTITION_MISSING', `${topic}/${at}`)
    const record: RawRecord = { offset: records.length, key, value, headers, timestamp }
    records.push(record)
    for (const subscription of this.subscriptions) if (subscription.spec.topics.includes(topic)) this.#handOut(subscription, topic, at, record)
    for (const arrival of this.#arrivals) arrival.wake()
    return { topic, partition: at, offset: record.offset, timestamp }
  }

  reader(): Reader {
    const positions = new Map<string, { topic: string; partition: number; offset: number }>()
    const arrival = new Wakeup()
    let closed = false
    this.#arrivals.add(arrival)
    const partitionOf = (topic: string, partition: number): readonly RawRecord[] => this.#records.get(topic)?.[partition] ?? []
    const next = (): RecordBatch | undefined => {
      for (const position of positions.values()) {
        const { topic, partition, offset } = position
        const records = partitionOf(topic, partition).slice(offset)
        if (records.length === 0) continue
        position.offset += records.length
        return { topic, partition, records, nextOffset: position.offset, bytes: 0, endOffset: position.offset }
      }
      return undefined
    }
    return {
      assign: ({ topic, partition }, offset) => void positions.set(`${topic}/${partition}`, { topic, partition, offset }),
      unassign: ({ topic, partition }) => void positions.delete(`${topic}/${partition}`),
      async *batches() {
        while (!closed) {
          const batch = next()
          if (batch === undefined) await arrival.wait()
          else yield batch
        }
      },
      offsets: async (partitions) =>
        partitions.map(({ topic, partition }) => ({ topic, partition, beginning: 0, end: partitionOf(topic, partition).length })),
      close: async () => {
        closed = true
        arrival.wake()
      },
    }
  }

  #handOut({ spec, feeds }: Subscription, topic: string, partition: number, record: RawRecord): void {
    const index = record.key === null ? record.offset % feeds.length : partitionForKey(Buffer.from(record.key).reverse(), feeds.length)
    const feed = feeds[index]
    if (feed === undefined) throw new Error('There is no feed.')
    const home: MemoryEventHome = {
      agent: spec.agent,
      keyCodec: this.topics.get(topic)?.keyCodec,
      task: this.#task(partition),
      topic,
      partition,
      signal: this.signal,
      send: (request) => this.produce(request),
      finished: () => void feed.inHand--,
      again: (event, delayMs, attempts) => feed.again(event, delayMs, attempts),
    }
    feed.put(new MemoryEvent(home, record, 0))
  }

  #task(partition: number): Task {
    const known = this.#tasks.get(partition)
    if (known !== undefined) return known
    const task: Task = { id: `8-${partition}`, partitions: 8, partition, open: () => undefined }
    this.#tasks.set(partition, task)
    return task
  }

  #partitionsOf(topic: string): number {
    return this.topics.get(topic)?.partitions ?? 8
  }

  #assertEarly(what: string): void {
    if (this.#started) throw new MillraceError('TOPOLOGY_LATE', `${what} was declared.`)
  }
}
