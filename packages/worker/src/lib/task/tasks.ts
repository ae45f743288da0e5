import { isMillraceError, partitionKey, toError, type TopicPartition } from '@millrace/core'
import type { Admin, Consumer, LostPosition, Producer } from '@millrace/core/driver'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { TaskRef } from '../contracts/task.ts'
import type { TopicDeclaration, WaitForTask } from '../contracts/worker-context.ts'
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
import { LateRows } from './late-rows.ts'
import { OpeningTasks } from './opening-tasks.ts'
import { type OpenedReader, openTask } from './open-task.ts'
import { ProgressTopic } from './progress-topic.ts'
import { RefusedEvents } from './refused-events.ts'
import { RowBudget } from './row-budget.ts'
import type { TaskSource } from './source-offset.ts'
import { Task } from './task.ts'
import type { TasksOptions, TasksOwner } from './tasks-owner.ts'
import { RepartitionPurge } from '../topics/repartition-purge.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'

/** The longest delay before a task is opened in which some event blocks the event loop. */
const LONGEST_DELAY_MS = 10_000

/** The tasks of a worker from when it is given them until they are lost, and the parts that they share. */
export class Tasks implements CollectorOwner {
  readonly environment: WorkerEnvironment
  readonly lease: Lease
  readonly handOut: HandOut
  readonly stores: TaskStores
  /** What agents read: it gets the origins of each task that is opened. */
  readonly subscriptions: readonly OpenedReader[]
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
  readonly #owner: TasksOwner
  readonly #onRunning: (task: Task) => void
  readonly #producer: Producer
  readonly #sharedCommits: SharedCommits
  readonly #lateRows: LateRows
  readonly #purge: RepartitionPurge
  readonly #tasks = new Map<string, Task>()
  /** Tasks that are lost and not closed yet, and stores that are needed no more. */
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

  /** By task id: those on their way to running too. */
  get all(): ReadonlyMap<string, Task> {
    return this.#tasks
  }

  /** Tasks that are recovered, and not lost. */
  get running(): readonly Task[] {
    return [...this.#tasks.values()].filter((task) => task.running)
  }

  /** What must have happened before events of a task are handed out. */
  get waits(): readonly WaitForTask[] {
    return this.#owner.topology.waits
  }

  /** `Codec.name` of a topic's keys, as declared. */
  keyCodecOf(topic: string): string | undefined {
    return this.#owner.topology.topics.get(topic)?.keyCodec
  }

  /** What gives the records of a topic their times, as declared. */
  stampOf(topic: string): TopicDeclaration['stamp'] {
    return this.#owner.topology.topics.get(topic)?.stamp
  }

  /** Where the sends and rows of a new task go. `failures`: as `TaskOutput.failures` of the same task before. */
  outputOf(task: Task, failures: number): TaskOutput {
    return this.environment.settings.exactlyOnce
      ? new TransactionOutput(this.environment, this.#owner.sending, { task, failures })
      : new SharedOutput(task, this.collector, this.#sharedCommits)
  }

  /** A partition of a running task. */
  sourceOf({ topic, partition }: TopicPartition): TaskSource | undefined {
    const task = this.#tasks.get(taskId(this.topics.partitions(topic) ?? 0, partition))
    return task?.sources.find(({ source }) => source.topic === topic)
  }

  /** There is something for the task's next commit. */
  touched(task: Task): void {
    this.committer.touched(task)
  }

  /** The task should be committed now. */
  commitSoon(task: Task): void {
    this.committer.soon(task)
  }

  /** The broker refused a record for good. */
  refused(record: Outgoing, error: Error): void {
    this.refusedEvents.refused(record, error)
  }

  /** An event has failed of which sends have gone out; its task is opened again for that. */
  eventFailed(event: HandedOutEvent, error: Error | undefined): void {
    this.refusedEvents.failed(event, error)
  }

  /** The worker's producer cannot go on. */
  broken(error: Error): void {
    this.fail(error)
  }

  /** Ends the worker. */
  fail(error: Error): void {
    this.#owner.fail(error)
  }

  /**
   * Drops the task whole, if it is here, and opens it again from its last commit. `cutOff`: a partition of it ends before
   * what had been read. During a stop the next owner opens it: what this worker has of it must not be in its last commit.
   */
  reopen(id: string, reason: string, cutOff?: LostPosition): void {
    const task = this.#tasks.get(id)
    if (task === undefined) return
    const { log, clock } = this.environment
    if (this.#isStopping) {
      log.warn({ task: id }, `Task ${id} is given up without a last commit: ${reason}.`)
      return this.lose([id], reason)
    }
    log.warn({ task: id }, `Task ${id} is opened again: ${reason}.`)
    // A task that was not running yet has made no use of what was found out before.
    const foundEnds = new Map(task.running ? [] : task.foundEnds)
    if (cutOff !== undefined) foundEnds.set(partitionKey(cutOff), cutOff.end)
    this.lose([id], reason)
    void this.open([this.add(task, { foundEnds, failures: task.output.failures })], clock.monotonic())
  }

  /** Events in the hands of agents, or of that one, for messages. */
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

  /** One of several events in them blocks the event loop, and will again: what else is here is handled and committed first. */
  openLater(tasks: readonly Task[]): void {
    const { clock, log, settings } = this.environment
    const delayMs = Math.min(settings.sessionTimeoutMs, LONGEST_DELAY_MS)
    log.warn(
      { tasks: tasks.map(({ id }) => id) },
      `In ${tasks.length === 1 ? 'a task' : `${tasks.length} tasks`} some event has blocked the event loop of a worker for longer than its session: begun in ${delayMs} ms, after the others.`,
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

  /** Closes these tasks, which are lost; their stores in the background. */
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

  /** Keeps the stores of these open until the next assignment. */
  keepStores(tasks: readonly TaskRef[], copies: readonly CopyRef[]): void {
    const ofTasks = tasks.flatMap(({ partitions, partition }) =>
      this.topics.statesWith(partitions).map(({ name }) => partitionKey({ topic: name, partition })),
    )
    const ofCopies = copies.map(({ definition, partition }) => partitionKey({ topic: definition.name, partition }))
    const wanted = this.stores.want(new Set([...ofTasks, ...ofCopies]))
    this.#inBackground(wanted, 'A store that is needed no more was not closed cleanly.')
  }

  /** Resolves when everything that was lost is closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing)
  }

  /** When no task is left. */
  async close(): Promise<void> {
    this.flow.close()
    this.#purge.close()
    await this.recovery.close()
    await this.#lateRows.close()
  }

  /** Called last: parts of the worker may send until then. */
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
