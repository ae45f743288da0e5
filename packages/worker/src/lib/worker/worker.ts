import {
  type Deferred,
  deferred,
  isMillraceError,
  MillraceError,
  type TimeStats,
  toError,
  type TopicPartition,
} from '@millrace/core'
import type { SubscriptionQueue } from '../contracts/event.ts'
import type { AssignmentView } from '../contracts/group.ts'
import type { WorkerStats, WorkerStatus } from '../contracts/stats.ts'
import type { StateDefinition } from '../contracts/task.ts'
import type {
  EventProgress,
  Quiet,
  RebalanceChange,
  WorkerEvents,
  Worker as WorkerContract,
} from '../contracts/worker.ts'
import type { SubscriptionSpec } from '../contracts/worker-context.ts'
import { HandOut } from '../environment/hand-out.ts'
import { Lease } from '../environment/lease.ts'
import { LoopWatch } from '../environment/loop-watch.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import { Subscription } from '../queue/subscription.ts'
import { TaskStores } from '../restore/task-stores.ts'
import { Delays } from '../sending/delays.ts'
import { SendBudget, type Sending } from '../sending/send-budget.ts'
import { Drain } from '../task/drain.ts'
import { BlockingEvents } from '../task/blocking-events.ts'
import { DeclaredTopology } from '../topics/declared-topology.ts'
import { TopicDirectory } from '../topics/topic-directory.ts'
import { brokenBatchesDeclaration } from './broken-batches.ts'
import { CountingSensor } from './counting-sensor.ts'
import { progressOf } from './event-progress.ts'
import { GroupMember } from './group-member.ts'
import { LiveContext } from './live-context.ts'
import { RebalanceListeners } from './rebalance-listeners.ts'
import { type Ending, Shutdown } from './shutdown.ts'
import { assignmentOf, quietOf, statsOf, type WorkerView } from './stats.ts'
import type { WorkerOptions } from './worker-options.ts'

/**
 * The life of a worker: declare, connect, join, run, drain, leave. `GroupMember` does the work in between. Users of
 * this package see only the contract.
 */
export class Worker implements WorkerContract {
  readonly environment: WorkerEnvironment
  readonly context: LiveContext
  /** The address at which other workers reach this one; called at every join. */
  readonly webAddress: (() => string | undefined) | undefined
  /** The instance id of a static member. */
  readonly instanceId: string | undefined
  readonly lease: Lease
  readonly handOut: HandOut
  readonly drain: Drain
  readonly blockingEvents: BlockingEvents
  readonly sending: Sending & { readonly lease: Lease }
  readonly stores: TaskStores
  readonly topology: DeclaredTopology
  readonly subscriptions: Subscription[] = []
  readonly #options: WorkerOptions
  readonly #sensor: CountingSensor
  readonly #rebalances: RebalanceListeners
  readonly #loopWatch: LoopWatch
  readonly #abort = new AbortController()
  readonly #opened: Deferred<void> = deferred<void>()
  readonly #ended: Deferred<void> = deferred<void>()
  #phase: WorkerStatus = 'starting'
  #hasRun = false
  #topics: TopicDirectory | undefined
  #member: GroupMember | undefined
  /** In the order of opening; closed in reverse. */
  readonly #closers: (() => Promise<void>)[] = []
  #failure: Error | undefined
  #ending: Promise<void> | undefined

  constructor(options: WorkerOptions) {
    const { clock, settings, log, transport, store } = options
    this.#options = options
    this.#sensor = new CountingSensor(options.sensor, clock, options.redact)
    this.#rebalances = new RebalanceListeners(this.#sensor)
    this.environment = { ...options, sensor: this.#sensor }
    this.webAddress = options.webAddress
    // The id from the store is safe, because the store admits only one process, so no two running workers share it.
    this.instanceId = settings.instanceId ?? store.capabilities.workerId
    const sessionTimeoutMs = transport.capabilities.sessions ? settings.sessionTimeoutMs : undefined
    this.lease = new Lease(clock, { sessionTimeoutMs, heartbeatIntervalMs: settings.heartbeatIntervalMs })
    this.blockingEvents = new BlockingEvents(this.environment, this.lease, this.subscriptions)
    this.#loopWatch = new LoopWatch({ clock, sessionTimeoutMs, contexts: options.contexts }, this.blockingEvents)
    this.handOut = new HandOut(this.environment, this.lease, this.#loopWatch)
    this.drain = new Drain(clock, this.handOut)
    this.sending = {
      ...{ clock, sensor: this.#sensor, lease: this.lease },
      budget: new SendBudget(settings.maxPendingSendBytes, this.handOut),
      delays: new Delays({ clock, log, deliveryTimeoutMs: settings.deliveryTimeoutMs, handOut: this.handOut }),
      transactions: { aborted: 0 },
    }
    this.stores = new TaskStores(store)
    this.topology = new DeclaredTopology(options.appId, (spec) => this.#subscribe(spec))
    this.context = new LiveContext(this, this.#abort.signal)
    // Callers that await these get the rejection; it is not unhandled if there are none.
    this.#opened.promise.catch(() => {})
    this.#ended.promise.catch(() => {})
  }

  get finished(): Promise<void> {
    return this.#ended.promise
  }

  get status(): WorkerStatus {
    return this.#phase === 'running' && (this.#member?.tasks.opening.count ?? 0) > 0 ? 'recovering' : this.#phase
  }

  async start(): Promise<void> {
    try {
      await this.#run()
    } catch (thrown) {
      if (this.#ending === undefined) this.fail(toError(thrown))
      await this.#ending
      throw this.#failure ?? thrown
    }
  }

  async stop({ hard = false }: { readonly hard?: boolean } = {}): Promise<void> {
    if (hard) this.#abort.abort(new MillraceError('CLOSED', 'The worker was stopped hard.'))
    this.#ending ??= this.#end(hard ? 'hard' : 'drained')
    await this.#ending
  }

  stats(): WorkerStats {
    return statsOf(this.#view())
  }

  commitTimes(): TimeStats {
    return this.#sensor.commitTimes.stats()
  }

  assignment(): AssignmentView {
    return assignmentOf(this.#view())
  }

  progressOf(
    state: StateDefinition,
    statePartition: number,
    event: TopicPartition & { readonly offset: number },
  ): EventProgress | undefined {
    if (this.#member === undefined || !this.lease.valid) return undefined
    return progressOf(this.#member, { ...event, state, statePartition })
  }

  groupSecret(): string | undefined {
    return this.#member?.member.group.secret
  }

  quiet(): Quiet {
    return quietOf(this.#view())
  }

  on<E extends keyof WorkerEvents>(event: E, fn: (...change: WorkerEvents[E]) => void): () => void {
    return this.#rebalances.on(event, fn)
  }

  /**
   * Called when a rebalance is over. Agents have asked for events before the first join, when there was no lease; this
   * wakes them.
   */
  rebalanced(change: RebalanceChange): void {
    this.lease.joined()
    this.#rebalances.rebalanced(change)
  }

  /** Called when no task is being opened any more. */
  opened(): void {
    this.#opened.resolve()
  }

  /** Ends the worker. */
  fail(error: Error): void {
    if (this.#ending !== undefined) {
      this.#options.log.debug({ error: error.message }, 'Another error while the worker was ending.')
      return
    }
    this.#failure = error
    this.#sensor.errorRaised({ source: 'worker', error })
    this.#options.log.error({ err: error }, `The worker ends: ${isMillraceError(error) ? error.code : error.message}`)
    this.#opened.reject(error)
    this.#ending = this.#end('failed')
  }

  async #run(): Promise<void> {
    const { appId, parts, settings, transport, log } = this.#options
    this.#closers.push(
      () => transport.close(),
      () => this.stores.shut(),
    )
    if (settings.onBatchError === 'deadLetter') this.topology.topic(brokenBatchesDeclaration(appId))
    for (const part of parts) part.declare(this.context, this.topology)
    this.topology.freeze()
    await transport.connect({ timeoutMs: settings.connectTimeoutMs, signal: this.#abort.signal })
    this.#mustGoOn()
    const member = await this.#connect()
    this.#mustGoOn()
    for (const part of parts) await part.start()
    this.#mustGoOn()
    if (this.#topics !== undefined && this.#topics.sources.length > 0) {
      this.#phase = 'recovering'
      this.#loopWatch.start()
      await member.consumer.start()
      void this.#fetch(member)
      await this.#opened.promise
      this.#topics.watch((error) => this.fail(error))
    } else this.lease.standAlone()
    this.#mustGoOn()
    this.#phase = 'running'
    this.#hasRun = true
    member.tasks.committer.start()
    for (const part of parts) part.ready()
    log.debug({ tasks: member.tasks.all.size }, 'The worker is running.')
  }

  async #connect(): Promise<GroupMember> {
    const admin = this.#options.transport.admin()
    this.#closers.push(() => admin.close())
    const topics = new TopicDirectory(this.environment, admin)
    this.#topics = topics
    await topics.resolve(this.topology)
    const member = new GroupMember(this, topics, admin)
    this.#member = member
    this.#closers.push(
      () => member.tasks.closeSending(this.#abort.signal.reason),
      () => member.tasks.close(),
    )
    this.context.connect(member)
    return member
  }

  async #fetch(member: GroupMember): Promise<void> {
    try {
      await member.fetchLoop.run()
      if (this.#ending === undefined) this.fail(new MillraceError('WORKER_FAILED', 'The consumer has ended by itself.'))
    } catch (thrown) {
      if (this.#ending === undefined) this.fail(toError(thrown))
    }
  }

  #subscribe(spec: SubscriptionSpec): readonly SubscriptionQueue[] {
    const { clock, settings } = this.#options
    const { handOut } = this
    const subscription = new Subscription(spec, clock, { handOut, maxSorted: settings.maxBufferedEvents })
    this.subscriptions.push(subscription)
    return subscription.queues
  }

  #mustGoOn(): void {
    if (this.#ending !== undefined)
      throw this.#failure ?? new MillraceError('CLOSED', 'The worker was stopped while it started.')
  }

  async #end(ending: Ending): Promise<void> {
    const shutdown = new Shutdown({ options: this.#options, ending, signal: this.#abort.signal })
    this.#phase = 'stopping'
    this.handOut.block(NOT_NOW.stop)
    this.#topics?.close()
    const member = this.#member
    if (member !== undefined) {
      member.tasks.committer.stop()
      const finishing = shutdown.finishWork(member)
      member.stop(finishing)
      await finishing
      if (ending !== 'drained')
        this.#abort.abort(this.#failure ?? new MillraceError('CLOSED', 'The worker was stopped hard.'))
      await shutdown.leave(member)
      await shutdown.close('closing tasks', () => member.closeTasks())
    }
    this.#opened.reject(this.#failure ?? new MillraceError('CLOSED', 'The worker was stopped while it started.'))
    this.handOut.close()
    if (isMillraceError(this.#failure, 'INSTANCE_TAKEN') && this.#options.settings.instanceId === undefined)
      await shutdown.close('giving the store another id', async () => this.#options.store.renewWorkerId?.())
    await shutdown.stopParts()
    this.lease.close()
    this.#loopWatch.close()
    this.sending.delays.close()
    await shutdown.close('closing readers', () => this.context.close())
    for (const close of this.#closers.toReversed()) await shutdown.close('closing', close)
    this.#phase = this.#failure === undefined ? 'stopped' : 'failed'
    if (this.#failure === undefined) this.#ended.resolve()
    else this.#ended.reject(this.#failure)
    this.#options.log.debug({}, `The worker has ${this.#phase}.`)
  }

  #view(): WorkerView {
    const { status } = this
    return { status, hasRun: this.#hasRun, worker: this, member: this.#member, sensor: this.#sensor }
  }
}
