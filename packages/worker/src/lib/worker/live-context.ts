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
import type { HoldReason, StateCopy, WorkerContext } from '../contracts/worker-context.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import { taskId } from '../environment/task-id.ts'
import { mustFit, Outgoing } from '../sending/outgoing.ts'
import type { GroupMember } from './group-member.ts'
import { OpenReaders } from './open-readers.ts'
import type { Worker } from './worker.ts'
import { provideTopics } from '../topics/provide-topics.ts'

/** The worker as its parts see it. Calls that need the broker wait until it is reached. */
export class LiveContext implements WorkerContext {
  readonly id: string
  readonly appId: string
  readonly clock: Clock
  readonly log: Logger
  readonly redact: Redact
  readonly sensor: Sensor
  readonly exactlyOnce: boolean
  readonly signal: AbortSignal
  readonly #worker: Worker
  readonly #connected: Deferred<GroupMember> = deferred<GroupMember>()
  readonly #readers: OpenReaders
  #member: GroupMember | undefined

  constructor(worker: Worker, signal: AbortSignal) {
    const { environment } = worker
    this.#worker = worker
    this.id = environment.workerId
    this.appId = environment.appId
    this.clock = environment.clock
    this.log = environment.log
    this.redact = environment.redact ?? redactText
    this.sensor = environment.sensor
    this.exactlyOnce = environment.settings.exactlyOnce
    this.signal = signal
    this.#readers = new OpenReaders(environment.transport)
    // Callers that wait get the rejection; it is not unhandled if there are none.
    this.#connected.promise.catch(() => {})
  }

  get draining(): AbortSignal {
    return this.#worker.drain.signal
  }

  /** Called when the broker is reached. */
  connect(member: GroupMember): void {
    this.#member = member
    this.#connected.resolve(member)
  }

  async send(request: SendRequest): Promise<RecordMetadata> {
    const { collector } = (await this.#reach()).tasks
    const record = new Outgoing(request, undefined)
    mustFit(record, this.#worker.environment.settings.maxRecordBytes)
    await this.#worker.sending.budget.room()
    collector.add(record)
    return record.metadata()
  }

  async partitions(topic: string): Promise<number> {
    return (await this.#reach()).tasks.collector.partitions(topic)
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    await provideTopics((await this.#reach()).admin, specs, this.#worker.environment.settings.topics.create)
  }

  reader(isolation: Isolation): Reader {
    return this.#readers.open(isolation)
  }

  openState(state: StateDefinition, partition: number): OpenState | undefined {
    const count = this.partitionsOf(state)
    // Without a lease another worker may already have newer rows.
    if (count === undefined || !this.#worker.lease.valid) return undefined
    return this.#member?.tasks.all.get(taskId(count, partition))?.open(state)
  }

  openStates(state: StateDefinition): ReadonlyMap<number, OpenState> {
    const open = new Map<number, OpenState>()
    if (this.#member === undefined || !this.#worker.lease.valid) return open
    for (const task of this.#member.tasks.all.values()) {
      const found = task.open(state)
      if (found !== undefined) open.set(task.partition, found)
    }
    return open
  }

  copyOf(state: StateDefinition, partition: number): StateCopy | undefined {
    return this.#member?.standbys.copyOf(state.name, partition)
  }

  partitionsOf(state: StateDefinition): number | undefined {
    return this.#member?.topics.partitionsOf(state)
  }

  hold(agent: string, reason: HoldReason, on: boolean): void {
    for (const subscription of this.#worker.subscriptions)
      if (subscription.spec.agent === agent) subscription.hold(NOT_NOW[reason], on)
    this.#member?.tasks.heldReaders.changed()
  }

  fail(error: Error): void {
    this.#worker.fail(error)
  }

  async close(): Promise<void> {
    this.#connected.reject(new MillraceError('CLOSED', 'The worker has stopped.'))
    await this.#readers.close()
  }

  async #reach(): Promise<GroupMember> {
    return this.#member ?? this.#connected.promise
  }
}
