import {
  type AssignmentView,
  type Deferred,
  deferred,
  type EventFeed,
  isMillraceError,
  MillraceError,
  type SubscriptionSpec,
  toError,
  type WorkerStats,
  type WorkerStatus,
} from '@millrace/core'
import { BLOCKED_BY, HandOutGate } from '../feeds/hand-out-gate.ts'
import { LoopWatch } from '../feeds/loop-watch.ts'
import { Subscription } from '../feeds/subscription.ts'
import { brokenBatchesDeclaration } from '../feeds/broken-batches.ts'
import { Suspects } from '../feeds/suspects.ts'
import { Drain } from '../group/drain.ts'
import { Lease } from '../group/lease.ts'
import { LeaseWatch } from '../group/lease-watch.ts'
import { Delays } from '../sending/delays.ts'
import { Outbox } from '../sending/outbox.ts'
import { SendBudget } from '../sending/send-budget.ts'
import { TaskStores } from '../restore/task-stores.ts'
import { DeclaredTopology } from '../topics/declared-topology.ts'
import { TopicDirectory } from '../topics/topic-directory.ts'
import { CountingSensor } from './counting-sensor.ts'
import { LiveContext } from './live-context.ts'
import { type ReportDeps, reportAssignment, reportQuiet, reportStats } from './report.ts'
import { Runtime } from './runtime.ts'
import { type Ending, Shutdown } from './shutdown.ts'
import { WorkerListeners } from './worker-listeners.ts'
import type { WorkerOptions } from './worker-options.ts'
import type { Quiet, Worker, WorkerEvents } from './worker.ts'

/** Life of a worker: declare, connect, join, run, drain, leave. What it is made of is in `Runtime`. */
export class AppWorker implements Worker {
  readonly context: LiveContext
  readonly #options: WorkerOptions
  readonly #sensor: CountingSensor
  readonly #listeners: WorkerListeners
  readonly #topology: DeclaredTopology
  readonly #subscriptions: Subscription[] = []
  readonly #suspects: Suspects
  readonly #loopWatch: LoopWatch
  readonly #gate: HandOutGate
  readonly #drain: Drain
  readonly #lease: Lease
  readonly #leaseWatch: LeaseWatch
  readonly #budget: SendBudget
  readonly #delays: Delays
  readonly #stores: TaskStores
  readonly #abort = new AbortController()
  readonly #opened: Deferred<void> = deferred<void>()
  readonly #ended: Deferred<void> = deferred<void>()
  #phase: WorkerStatus = 'starting'
  #topics: TopicDirectory | undefined
  #outbox: Outbox | undefined
  #runtime: Runtime | undefined
  /** In order of opening; closed in reverse. */
  readonly #closers: (() => Promise<void>)[] = []
  #failure: Error | undefined
  #ending: Promise<void> | undefined

  constructor(options: WorkerOptions) {
    const { clock, settings, log, transport, sensor } = options
    this.#options = options
    this.#sensor = new CountingSensor(sensor, clock)
    this.#listeners = new WorkerListeners((thrown) =>
      this.#sensor.errorRaised({ source: 'rebalance listener', error: thrown }),
    )
    this.#lease = new Lease({
      clock,
      sessionTimeoutMs: transport.capabilities.sessions ? settings.sessionTimeoutMs : undefined,
      lastHeartbeatMs: () => this.#runtime?.consumer.lastHeartbeatMs() ?? -Infinity,
    })
    this.#leaseWatch = new LeaseWatch({
      clock,
      lease: this.#lease,
      intervalMs: settings.heartbeatIntervalMs,
      onBack: () => this.#leaseIsBack(),
    })
    this.#suspects = new Suspects({
      clock,
      log,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      isLeaseLost: () => this.#lease.hasRunOut,
      inHand: () => this.#subscriptions.flatMap(({ feeds }) => feeds.flatMap((feed) => feed.sinceLook())),
    })
    this.#loopWatch = new LoopWatch({
      clock,
      sessionTimeoutMs: transport.capabilities.sessions ? settings.sessionTimeoutMs : undefined,
      onBlocked: this.#suspects.blocked,
    })
    this.#gate = new HandOutGate({
      clock,
      lease: this.#lease,
      watch: this.#loopWatch,
      onOpen: () => this.#wake(),
      onLeaseLost: () => {
        if (this.#lease.hasRunOut)
          log.warn(
            {},
            `No heartbeat for ${settings.sessionTimeoutMs} ms (sessionTimeout): nothing is handed out until the group is heard of again.`,
          )
        this.#leaseWatch.start()
      },
    })
    this.#drain = new Drain({ clock, subscriptions: () => this.#subscriptions })
    this.#budget = new SendBudget(settings.maxOutboxBytes, (full) =>
      full ? this.#gate.block(BLOCKED_BY.outbox) : this.#gate.unblock(BLOCKED_BY.outbox),
    )
    this.#delays = new Delays({
      clock,
      log,
      deliveryTimeoutMs: settings.deliveryTimeoutMs,
      onOver: () => this.#wake(),
    })
    this.#stores = new TaskStores(options.store)
    this.#topology = new DeclaredTopology(options.appId, (spec) => this.#subscribe(spec))
    this.context = new LiveContext({
      options,
      sensor: this.#sensor,
      lease: this.#lease,
      budget: this.#budget,
      signal: this.#abort.signal,
      drain: this.#drain,
      fail: (error) => this.#fail(error),
    })
    // Whoever awaits them hears of it; nobody has to.
    this.#opened.promise.catch(() => {})
    this.#ended.promise.catch(() => {})
  }

  get finished(): Promise<void> {
    return this.#ended.promise
  }

  get status(): WorkerStatus {
    return this.#phase === 'running' && (this.#runtime?.rebalance.opening ?? 0) > 0 ? 'recovering' : this.#phase
  }

  async start(): Promise<void> {
    try {
      await this.#run()
    } catch (thrown) {
      if (this.#ending === undefined) this.#fail(toError(thrown))
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
    return reportStats(this.#report())
  }

  assignment(): AssignmentView {
    return reportAssignment(this.#report())
  }

  quiet(): Quiet {
    return reportQuiet(this.#report())
  }

  on<E extends keyof WorkerEvents>(event: E, fn: (change: WorkerEvents[E]) => void): () => void {
    return this.#listeners.on(event, fn)
  }

  async #run(): Promise<void> {
    const { appId, parts, settings, transport, log } = this.#options
    this.#closers.push(
      () => transport.close(),
      () => this.#stores.shut(),
    )
    if (settings.onBatchError === 'deadLetter') this.#topology.topic(brokenBatchesDeclaration(appId))
    for (const part of parts) part.declare(this.context, this.#topology)
    this.#topology.freeze()
    await transport.connect({ timeoutMs: settings.connectTimeoutMs, signal: this.#abort.signal })
    this.#mustGoOn()
    const runtime = await this.#connect()
    this.#mustGoOn()
    for (const part of parts) await part.start()
    this.#mustGoOn()
    if (this.#topics !== undefined && this.#topics.sources.length > 0) {
      this.#phase = 'recovering'
      this.#loopWatch.start()
      await runtime.consumer.start()
      void this.#fetch(runtime)
      await this.#opened.promise
      this.#topics.watch((error) => this.#fail(error))
    }
    this.#mustGoOn()
    this.#phase = 'running'
    runtime.committer.start()
    for (const part of parts) part.ready()
    log.debug({ tasks: runtime.rebalance.tasks.size }, 'The worker is running.')
  }

  async #connect(): Promise<Runtime> {
    const { transport, appId, clock, log, settings } = this.#options
    const admin = transport.admin()
    this.#closers.push(() => admin.close())
    const topics = new TopicDirectory({ appId, admin, clock, log, ...settings })
    this.#topics = topics
    await topics.resolve(this.#topology)
    const producer = transport.producer()
    const outbox = new Outbox({
      producer,
      budget: this.#budget,
      delays: this.#delays,
      clock,
      sensor: this.#sensor,
      guard: this.#lease.check,
      onHeld: this.#leaseWatch.start,
      onRefused: (record, error) => this.#runtime?.refusals.refused(record, error),
      onBroken: (error) => this.#fail(error),
    })
    this.#outbox = outbox
    this.#closers.push(async () => {
      await producer.close()
      outbox.close()
    })
    const runtime = new Runtime({
      options: this.#options,
      sensor: this.#sensor,
      gate: this.#gate,
      drain: this.#drain,
      lease: this.#lease,
      suspects: this.#suspects,
      budget: this.#budget,
      delays: this.#delays,
      topics,
      admin,
      outbox,
      stores: this.#stores,
      subscriptions: () => this.#subscriptions,
      candidates: () => this.#topology.candidates,
      waits: () => this.#topology.waits,
      keyCodec: (topic) => this.#topology.topics.get(topic)?.keyCodec,
      onChange: (change) => {
        // Before the first join agents have asked for events, and found no lease.
        this.#leaseWatch.look()
        this.#listeners.tell(change)
      },
      onOpened: () => this.#opened.resolve(),
      onHeld: this.#leaseWatch.start,
      send: (request) => this.context.send(request),
      signal: this.#abort.signal,
      fail: (error) => this.#fail(error),
    })
    this.#runtime = runtime
    this.#closers.push(() => runtime.close())
    this.context.connect({
      outbox,
      admin,
      tasks: () => runtime.rebalance.tasks,
      partitionsOf: (part) => topics.partitionsOf(part),
    })
    return runtime
  }

  async #fetch(runtime: Runtime): Promise<void> {
    try {
      await runtime.intake.run()
      if (this.#ending === undefined)
        this.#fail(new MillraceError('WORKER_FAILED', 'The consumer has ended by itself.'))
    } catch (thrown) {
      if (this.#ending === undefined) this.#fail(toError(thrown))
    }
  }

  #subscribe(spec: SubscriptionSpec): readonly EventFeed[] {
    const { clock, settings } = this.#options
    const subscription = new Subscription(spec, {
      clock,
      gate: this.#gate,
      maxBufferedEvents: settings.maxBufferedEvents,
    })
    this.#subscriptions.push(subscription)
    return subscription.feeds
  }

  #wake(): void {
    for (const subscription of this.#subscriptions) subscription.wake()
  }

  #leaseIsBack(): void {
    this.#outbox?.resume()
    this.#runtime?.resume()
    this.#gate.unblock(BLOCKED_BY.lease)
  }

  #mustGoOn(): void {
    if (this.#ending !== undefined)
      throw this.#failure ?? new MillraceError('CLOSED', 'The worker was stopped while it started.')
  }

  #fail(error: Error): void {
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

  async #end(ending: Ending): Promise<void> {
    const shutdown = new Shutdown({ options: this.#options, ending, signal: this.#abort.signal })
    this.#phase = 'stopping'
    this.#gate.block(BLOCKED_BY.stop)
    this.#topics?.close()
    const runtime = this.#runtime
    if (runtime !== undefined) {
      runtime.committer.stop()
      const finishing = shutdown.finishWork(runtime)
      runtime.rebalance.stop(finishing)
      await finishing
      if (ending !== 'drained')
        this.#abort.abort(this.#failure ?? new MillraceError('CLOSED', 'The worker was stopped hard.'))
      await shutdown.close('leaving the group', runtime.consumer.close())
      await shutdown.close('closing tasks', runtime.rebalance.close())
    }
    this.#opened.reject(this.#failure ?? new MillraceError('CLOSED', 'The worker was stopped while it started.'))
    for (const subscription of this.#subscriptions) subscription.close()
    await shutdown.stopParts()
    this.#leaseWatch.close()
    this.#loopWatch.close()
    this.#delays.close()
    await shutdown.close('closing readers', this.context.close())
    for (const close of this.#closers.toReversed()) await shutdown.close('closing', close())
    this.#phase = this.#failure === undefined ? 'stopped' : 'failed'
    if (this.#failure === undefined) this.#ended.resolve()
    else this.#ended.reject(this.#failure)
    this.#options.log.debug({}, `The worker has ${this.#phase}.`)
  }

  #report(): ReportDeps {
    return {
      status: this.status,
      runtime: this.#runtime,
      subscriptions: this.#subscriptions,
      partNames: this.#topology.parts.map(({ name }) => name),
      topics: this.#topics,
      clock: this.#options.clock,
      sensor: this.#sensor,
      budget: this.#budget,
      delays: this.#delays,
    }
  }
}
