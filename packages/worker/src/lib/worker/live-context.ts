import {
  type Clock,
  type Deferred,
  deferred,
  type Logger,
  MillraceError,
  type RecordMetadata,
  type Redact,
  redactText,
  type Sensor,
} from '@millrace/core'
import type { Isolation, Reader, TopicSpec } from '@millrace/core/driver'
import type { SendRequest } from '../contracts/event.ts'
import type { OpenState, StateDefinition } from '../contracts/task.ts'
import type { WorkerContext } from '../contracts/worker-context.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import { taskId } from '../environment/task-id.ts'
import { mustFit, Outgoing } from '../sending/outgoing.ts'
import type { ConnectedWorker } from './connected-worker.ts'
import { OpenReaders } from './open-readers.ts'
import type { WorkerLife } from './worker-life.ts'
import { provideTopics } from '../topics/provide-topics.ts'

/** The worker as its parts see it; what needs the broker waits until it is reached. */
export class LiveContext implements WorkerContext {
  readonly id: string
  readonly appId: string
  readonly clock: Clock
  readonly log: Logger
  readonly redact: Redact
  readonly sensor: Sensor
  readonly exactlyOnce: boolean
  readonly signal: AbortSignal
  readonly #environment: WorkerEnvironment
  readonly #life: Pick<WorkerLife, 'lease' | 'sending' | 'drain' | 'fail'>
  readonly #connected: Deferred<ConnectedWorker> = deferred<ConnectedWorker>()
  readonly #readers: OpenReaders
  #worker: ConnectedWorker | undefined

  constructor(
    environment: WorkerEnvironment,
    life: Pick<WorkerLife, 'lease' | 'sending' | 'drain' | 'fail'>,
    signal: AbortSignal,
  ) {
    this.#environment = environment
    this.#life = life
    this.id = environment.workerId
    this.appId = environment.appId
    this.clock = environment.clock
    this.log = environment.log
    this.redact = environment.redact ?? redactText
    this.sensor = environment.sensor
    this.exactlyOnce = environment.settings.exactlyOnce
    this.signal = signal
    this.#readers = new OpenReaders(environment.transport)
    // A rejection reaches whoever waits for it; perhaps nobody does.
    this.#connected.promise.catch(() => {})
  }

  get draining(): AbortSignal {
    return this.#life.drain.signal
  }

  /** The broker is reached. */
  connect(worker: ConnectedWorker): void {
    this.#worker = worker
    this.#connected.resolve(worker)
  }

  async send(request: SendRequest): Promise<RecordMetadata> {
    const { collector } = (await this.#reach()).tasks
    const record = new Outgoing(request, undefined)
    mustFit(record, this.#environment.settings.maxRecordBytes)
    await this.#life.sending.budget.room()
    collector.add(record)
    return record.metadata()
  }

  async partitions(topic: string): Promise<number> {
    return (await this.#reach()).tasks.collector.partitions(topic)
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    await provideTopics((await this.#reach()).admin, specs, this.#environment.settings.topics.create)
  }

  reader(isolation: Isolation): Reader {
    return this.#readers.open(isolation)
  }

  openState(state: StateDefinition, partition: number): OpenState | undefined {
    const count = this.partitionsOf(state)
    // Without a lease another worker may have newer rows already.
    if (count === undefined || !this.#life.lease.valid) return undefined
    return this.#worker?.tasks.all.get(taskId(count, partition))?.open(state)
  }

  openStates(state: StateDefinition): ReadonlyMap<number, OpenState> {
    const open = new Map<number, OpenState>()
    if (this.#worker === undefined || !this.#life.lease.valid) return open
    for (const task of this.#worker.tasks.all.values()) {
      const found = task.open(state)
      if (found !== undefined) open.set(task.partition, found)
    }
    return open
  }

  partitionsOf(state: StateDefinition): number | undefined {
    return this.#worker?.topics.partitionsOf(state)
  }

  fail(error: Error): void {
    this.#life.fail(error)
  }

  async close(): Promise<void> {
    this.#connected.reject(new MillraceError('CLOSED', 'The worker has stopped.'))
    await this.#readers.close()
  }

  async #reach(): Promise<ConnectedWorker> {
    return this.#worker ?? this.#connected.promise
  }
}
