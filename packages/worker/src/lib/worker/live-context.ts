import {
  type Admin,
  type Clock,
  type Deferred,
  deferred,
  type Isolation,
  type Logger,
  MillraceError,
  type OpenPart,
  type Reader,
  type RecordMetadata,
  type SendRequest,
  type Sensor,
  type TaskPart,
  type TopicSpec,
  type WorkerContext,
} from '@millrace/core'
import type { Drain } from '../group/drain.ts'
import type { Lease } from '../group/lease.ts'
import { mustFit } from '../sending/must-fit.ts'
import type { Outbox } from '../sending/outbox.ts'
import { Outgoing } from '../sending/outgoing.ts'
import type { SendBudget } from '../sending/send-budget.ts'
import { taskId } from '../tasks/task-id.ts'
import type { TaskRuntime } from '../tasks/task-runtime.ts'
import type { WorkerOptions } from './worker-options.ts'

/** What the context reaches once the worker is connected. */
export interface Connection {
  readonly outbox: Outbox
  readonly admin: Admin
  readonly tasks: () => ReadonlyMap<string, TaskRuntime>
  readonly partitionsOf: (part: TaskPart) => number | undefined
}

export interface LiveContextDeps {
  readonly options: WorkerOptions
  readonly sensor: Sensor
  readonly lease: Lease
  readonly budget: SendBudget
  readonly signal: AbortSignal
  readonly drain: Pick<Drain, 'signal'>
  readonly fail: (error: Error) => void
}

/** The worker as its parts see it; what needs the broker waits until it is reached. */
export class LiveContext implements WorkerContext {
  readonly id: string
  readonly appId: string
  readonly clock: Clock
  readonly log: Logger
  readonly sensor: Sensor
  readonly exactlyOnce: boolean
  readonly signal: AbortSignal
  readonly #deps: LiveContextDeps
  readonly #connected: Deferred<Connection> = deferred<Connection>()
  readonly #readers = new Set<Reader>()
  #connection: Connection | undefined

  constructor(deps: LiveContextDeps) {
    const { options, sensor, signal } = deps
    this.#deps = deps
    this.id = options.workerId
    this.appId = options.appId
    this.clock = options.clock
    this.log = options.log
    this.sensor = sensor
    this.exactlyOnce = options.settings.exactlyOnce
    this.signal = signal
    // Whoever waits for it hears of it; nobody may be waiting.
    this.#connected.promise.catch(() => {})
  }

  get draining(): AbortSignal {
    return this.#deps.drain.signal
  }

  connect(connection: Connection): void {
    this.#connection = connection
    this.#connected.resolve(connection)
  }

  async send(request: SendRequest): Promise<RecordMetadata> {
    const { outbox } = await this.#reach()
    const record = new Outgoing(request, undefined)
    mustFit(record, this.#deps.options.settings.maxRecordBytes)
    await this.#deps.budget.room()
    outbox.add(record)
    return record.metadata()
  }

  async partitions(topic: string): Promise<number> {
    return (await this.#reach()).outbox.partitions(topic)
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    await (await this.#reach()).admin.createTopics(specs)
  }

  reader(isolation: Isolation): Reader {
    const reader = this.#deps.options.transport.reader({ isolation })
    this.#readers.add(reader)
    return reader
  }

  openPart(part: TaskPart, partition: number): OpenPart | undefined {
    const count = this.partitionsOf(part)
    // Without a lease another worker may have newer rows already.
    if (count === undefined || !this.#deps.lease.valid) return undefined
    return this.#connection?.tasks().get(taskId(count, partition))?.open(part)
  }

  openParts(part: TaskPart): ReadonlyMap<number, OpenPart> {
    const open = new Map<number, OpenPart>()
    if (this.#connection === undefined || !this.#deps.lease.valid) return open
    for (const task of this.#connection.tasks().values()) {
      const state = task.open(part)
      if (state !== undefined) open.set(task.partition, state)
    }
    return open
  }

  partitionsOf(part: TaskPart): number | undefined {
    return this.#connection?.partitionsOf(part)
  }

  fail(error: Error): void {
    this.#deps.fail(error)
  }

  async close(): Promise<void> {
    this.#connected.reject(new MillraceError('CLOSED', 'The worker has stopped.'))
    await Promise.all([...this.#readers].map((reader) => reader.close()))
  }

  async #reach(): Promise<Connection> {
    return this.#connection ?? this.#connected.promise
  }
}
