import { isMillraceError, partitionKey, toError, type TopicPartition } from '@millrace/core'
import type { Admin, Consumer, LostPosition, Producer } from '@millrace/core/driver'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { TaskRef } from '../contracts/task.ts'
import type { HandOut } from '../environment/hand-out.ts'
import type { Lease } from '../environment/lease.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import { taskId } from '../environment/task-id.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import { FlowControl } from '../records/flow-control.ts'
import type { Recovery } from '../restore/recovery.ts'
import type { CopyRef } from '../restore/standbys.ts'
import type { TaskStores } from '../restore/task-stores.ts'
import { SharedCommits, SharedOutput } from '../sending/at-least-once.ts'
import { TransactionOutput } from '../sending/exactly-once.ts'
import type { Outgoing } from '../sending/outgoing.ts'
import { type CollectorOwner, RecordCollector } from '../sending/record-collector.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { AssignedTask, FormerTask } from './assigned-task.ts'
import { BrokerFacts } from './broker-facts.ts'
import { Commits } from './commit.ts'
import { Committer } from './committer.ts'
import { HeldReaders } from './held-readers.ts'
import { LateRows } from './late-rows.ts'
import { OpeningTasks } from './opening-tasks.ts'
import { type OpenedReader, openTask } from './open-task.ts'
import { ProgressTopic } from './progress-topic.ts'
import { RefusedEvents } from './refused-events.ts'
import { RowBudget } from './row-budget.ts'
import type { TaskSource } from './source-offset.ts'
import { Task } from './task.ts'
import type { TasksOptions, TasksOwner } from './tasks-owner.ts'
import type { DeclaredTopology } from '../topics/declared-topology.ts'
import { RepartitionPurge } from '../topics/repartition-purge.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'

/** The longest delay before a task is opened that has a blocking event. */
const LONGEST_DELAY_MS = 10_000

/** The tasks of a worker from their assignment to their loss, and the parts that they share. */
export class Tasks implements CollectorOwner {
  readonly environment: WorkerEnvironment
  readonly lease: Lease
  readonly handOut: HandOut
  readonly stores: TaskStores
  /** Readers of agents, which get the origins of each task that is opened. */
  readonly subscriptions: readonly OpenedReader[]
  readonly topology: DeclaredTopology
  readonly topics: TopicDirectory
  readonly admin: Admin
  readonly consumer: Consumer
  readonly recovery: Recovery
  readonly collector: RecordCollector
  readonly flow: FlowControl
  readonly facts: BrokerFacts
  readonly progress: ProgressTopic
  readonly refusedEvents: RefusedEvents
  readonly changedRows: RowBudget
  readonly commits: Commits
  readonly committer: Committer
  readonly opening: OpeningTasks
  readonly heldReaders: HeldReaders = new HeldReaders(this)
  readonly #owner: TasksOwner
  readonly #onRunning: (task: Task) => void
  readonly #producer: Producer
  readonly #sharedCommits: SharedCommits
  readonly #lateRows: LateRows
  readonly #purge: RepartitionPurge
  readonly #tasks = new Map<string, Task>()
  /** Lost tasks that are still being closed, and stores that are no longer needed. */
  readonly #closing = new Set<Promise<void>>()

  constructor(owner: TasksOwner, { topics, admin, consumer, recovery, onRunning }: TasksOptions) {
    const { environment, lease, handOut, stores } = owner
    this.#owner = owner
    this.#onRunning = onRunning
    this.environment = environment
    this.opening = new OpeningTasks(environment.clock)
    this.lease = lease
    this.handOut = handOut
    this.stores = stores
    this.subscriptions = owner.subscriptions
    this.topology = owner.topology
    this.topics = topics
    this.admin = admin
    this.consumer = consumer
    this.recovery = recovery
    this.#producer = environment.transport.producer()
    this.collector = new RecordCollector(this.#producer, owner.sending, this)
    this.#sharedCommits = new SharedCommits(consumer, lease, environment.log)
    this.flow = new FlowControl(environment, consumer, admin)
    this.facts = new BrokerFacts(this)
    this.refusedEvents = new RefusedEvents(this, owner.blockingEvents)
    this.#lateRows = new LateRows(environment)
    this.#purge = new RepartitionPurge(environment, lease, { admin, sources: () => this.#purgedSources() })
    this.progress = new ProgressTopic(environment, admin)
    this.commits = new Commits(this, { lateRows: this.#lateRows, progress: this.progress, purge: this.#purge })
    this.committer = new Committer(this, this.commits)
    this.changedRows = new RowBudget(environment.settings.cacheBytes, handOut, this.committer)
  }

  /** All tasks by id, including those that are being opened. */
  get all(): ReadonlyMap<string, Task> {
    return this.#tasks
  }

  /** Tasks that are recovered and not lost. */
  get running(): readonly Task[] {
    return [...this.#tasks.values()].filter((task) => task.running)
  }

  /**
   * Makes the output for the sends and rows of a new task. `failures`: `TaskOutput.failures` of the task's predecessor.
   */
  outputOf(task: Task, failures: number): TaskOutput {
    return this.environment.settings.exactlyOnce
      ? new TransactionOutput(this.environment, this.#owner.sending, { task, failures })
      : new SharedOutput(task, this.collector, this.#sharedCommits)
  }

  /** The source of a partition, if its task runs. */
  sourceOf({ topic, partition }: TopicPartition): TaskSource | undefined {
    const task = this.#tasks.get(taskId(this.topics.partitions(topic) ?? 0, partition))
    return task?.sources.find(({ source }) => source.topic === topic)
  }

  /** Called when the task has something for its next commit. */
  touched(task: Task): void {
    this.committer.touched(task)
  }

  /** Commits the task now. */
  commitSoon(task: Task): void {
    this.committer.soon(task)
  }

  /** Called when the broker refuses a record permanently. */
  refused(record: Outgoing, error: Error): void {
    this.refusedEvents.refused(record, error)
  }

  /** Called when an event has failed after some of its sends had gone out; its task is reopened for that. */
  eventFailed(event: HandedOutEvent, error: Error | undefined): void {
    this.refusedEvents.failed(event, error)
  }

  /** Called when the worker's producer cannot continue. */
  broken(error: Error): void {
    this.fail(error)
  }

  /** Ends the worker. */
  fail(error: Error): void {
    this.#owner.fail(error)
  }

  /**
   * Drops the whole task, if it is here, and reopens it from its last commit. `cutOff`: one of its partitions ends
   * before the position. During a stop the next owner opens the task, and this worker's last commit must not include
   * it.
   */
  reopen(id: string, reason: string, cutOff?: LostPosition): void {
    const task = this.#tasks.get(id)
    if (task === undefined) return
    const { log, clock } = this.environment
    if (this.#isStopping) {
      log.warn({ task: id }, `Task ${id} is given up without a last commit: ${reason}.`)
      return this.lose([id], reason)
    }
    log.warn({ task: id }, `Task ${id} is reopened: ${reason}.`)
    // A task that was not running yet has not used the ends found before.
    const foundEnds = new Map(task.running ? [] : task.foundEnds)
    if (cutOff !== undefined) foundEnds.set(partitionKey(cutOff), cutOff.end)
    this.lose([id], reason)
    void this.open([this.add(task, { foundEnds, failures: task.output.failures })], clock.monotonic())
  }

  /** Describes events in flight, of all agents or of one, for messages. */
  describeInFlight(agent?: string): readonly string[] {
    return this.running.flatMap((task) => task.describeInFlight(agent))
  }

  add(ref: AssignedTask, options?: FormerTask): Task {
    const task = new Task(this, ref, options)
    this.#tasks.set(task.id, task)
    return task
  }

  async open(tasks: readonly Task[], heardSinceMs: number): Promise<void> {
    this.opening.begin(tasks.length)
    await Promise.all(tasks.map((task) => this.#openOne(task, heardSinceMs)))
    if (this.opening.count === 0) this.#owner.opened()
  }

  async #openOne(task: Task, heardSinceMs: number): Promise<void> {
    try {
      await openTask(task, this, heardSinceMs)
      if (!task.closed) {
        this.#onRunning(task)
        this.#purge.start()
      }
    } catch (thrown) {
      // A task that was lost on the way may fail at any point.
      if (!this.#isStopping && !task.closed) {
        const error = toError(thrown)
        if (isMillraceError(error, 'PRODUCER_FENCED')) this.reopen(task.id, error.message)
        else this.fail(error)
      }
    }
    this.opening.end(1)
  }

  /**
   * Opens tasks later in which one of several events blocks the event loop and will do so again, so that everything
   * else here is handled and committed first.
   */
  openLater(tasks: readonly Task[]): void {
    const { clock, log, settings } = this.environment
    const delayMs = Math.min(settings.sessionTimeoutMs, LONGEST_DELAY_MS)
    log.warn(
      { tasks: tasks.map(({ id }) => id) },
      `${tasks.length === 1 ? 'A task is' : `${tasks.length} tasks are`} opened in ${delayMs} ms, after the others, because an event there blocked the event loop of a worker for longer than its session.`,
    )
    this.opening.begin(tasks.length)
    clock.schedule(delayMs, () => {
      this.opening.end(tasks.length)
      if (!this.#isStopping)
        void this.open(
          tasks.filter((task) => !task.closed),
          clock.monotonic(),
        )
    })
  }

  /** Closes these tasks, which are lost. Their stores are closed in the background. */
  lose(ids: readonly string[], reason: string): void {
    for (const id of ids) {
      const task = this.#tasks.get(id)
      if (task === undefined) continue
      this.#tasks.delete(id)
      this.committer.forget(task)
      this.#inBackground(task.close(reason), `Task ${id} was not closed cleanly.`)
    }
    this.handOut.purge()
  }

  /** Keeps these stores open until the next assignment. */
  keepStores(tasks: readonly TaskRef[], copies: readonly CopyRef[]): void {
    const ofTasks = tasks.flatMap(({ partitions, partition }) =>
      this.topics.statesWith(partitions).map(({ name }) => partitionKey({ topic: name, partition })),
    )
    const ofCopies = copies.map(({ definition, partition }) => partitionKey({ topic: definition.name, partition }))
    const wanted = this.stores.want(new Set([...ofTasks, ...ofCopies]))
    this.#inBackground(wanted, 'A store that is needed no more was not closed cleanly.')
  }

  /** Resolves when all lost tasks are closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing)
  }

  /** Called when no task is left. */
  async close(): Promise<void> {
    this.flow.close()
    this.#purge.close()
    await this.recovery.close()
    await this.#lateRows.close()
  }

  /** Called last, because parts of the worker may send until then. */
  async closeSending(reason: unknown): Promise<void> {
    await this.#producer.close()
    this.collector.close(reason)
  }

  get #isStopping(): boolean {
    return (this.handOut.blocked & NOT_NOW.stop) !== 0
  }

  #inBackground(closing: Promise<void>, whenItFails: string): void {
    const closed = closing.catch((thrown: unknown) => {
      this.environment.log.warn({ error: toError(thrown).message }, whenItFails)
    })
    this.#closing.add(closed)
    void closed.then(() => this.#closing.delete(closed))
  }

  #purgedSources(): readonly TaskSource['source'][] {
    if (this.topics.purged.size === 0) return []
    return this.running.flatMap(({ sources }) =>
      sources.flatMap(({ source }) => (this.topics.purged.has(source.topic) ? [source] : [])),
    )
  }
}
