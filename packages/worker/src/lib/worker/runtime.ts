import {
  type Admin,
  type Candidate,
  type Consumer,
  type LostPosition,
  type SendRequest,
  type RebalanceListener,
  toError,
  type WaitForTask,
} from '@millrace/core'
import { AtLeastOnce } from '../commit/at-least-once.ts'
import { ExactlyOnce } from '../commit/exactly-once.ts'
import { Committer } from '../commit/committer.ts'
import type { Guarantee } from '../commit/guarantee.ts'
import { RowBudget } from '../commit/row-budget.ts'
import { tasksToCut } from '../commit/tasks-to-cut.ts'
import { FlowControl } from '../feeds/flow-control.ts'
import { PausedEnds } from '../feeds/paused-ends.ts'
import { BLOCKED_BY, type HandOutGate } from '../feeds/hand-out-gate.ts'
import { BrokenBatches } from '../feeds/broken-batches.ts'
import { Intake } from '../feeds/intake.ts'
import { Refusals } from '../feeds/refusals.ts'
import type { Subscription } from '../feeds/subscription.ts'
import type { Suspects } from '../feeds/suspects.ts'
import type { Drain } from '../group/drain.ts'
import { Elections } from '../group/elections.ts'
import type { Lease } from '../group/lease.ts'
import { encodeMemberData, type MemberData } from '../group/member-data.ts'
import { Rebalance } from '../group/rebalance.ts'
import { taskAssignor } from '../group/task-assignor.ts'
import type { Delays } from '../sending/delays.ts'
import type { Outbox } from '../sending/outbox.ts'
import type { SendBudget } from '../sending/send-budget.ts'
import type { RestoreEnvironment } from '../restore/changelog-follower.ts'
import { Recovery } from '../restore/recovery.ts'
import { Standbys } from '../restore/standbys.ts'
import { stateHere } from '../group/held-state.ts'
import { StrayRows } from '../tasks/stray-rows.ts'
import { TaskOpener } from '../tasks/task-opener.ts'
import type { TaskStores } from '../restore/task-stores.ts'
import { RepartitionPurge } from '../topics/repartition-purge.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { CountingSensor } from './counting-sensor.ts'
import type { WorkerOptions } from './worker-options.ts'
import type { WorkerEvents } from './worker.ts'

/** One fetch per partition; more costs memory and gains nothing (reference: kafkajs.md §1). */
const MAX_PARTITION_BYTES = 256 * 1024

/**
 * After so many joins that came to nothing the members tell less of themselves: what all together tell may have been more
 * than the broker keeps. Two of them are usual, for a broker gives a new member its id first.
 */
const MOST_JOINS_IN_VAIN = 3

export interface RuntimeDeps {
  readonly options: WorkerOptions
  readonly sensor: CountingSensor
  readonly gate: HandOutGate
  readonly drain: Drain
  readonly lease: Lease
  readonly suspects: Suspects
  readonly budget: SendBudget
  readonly delays: Delays
  readonly topics: TopicDirectory
  readonly admin: Admin
  readonly outbox: Outbox
  readonly stores: TaskStores
  readonly subscriptions: () => readonly Subscription[]
  readonly candidates: () => readonly Candidate[]
  readonly waits: () => readonly WaitForTask[]
  readonly keyCodec: (topic: string) => string | undefined
  readonly onChange: (change: WorkerEvents['rebalanceComplete']) => void
  readonly onOpened: () => void
  /** Sends are held because the lease has run out. */
  readonly onHeld: () => void
  /** Resolves when the broker has it. */
  readonly send: (request: SendRequest) => Promise<unknown>
  /** Aborts when the worker stops. */
  readonly signal: AbortSignal
  readonly fail: (error: Error) => void
}

/** Everything that lives from the moment the topics are known until the worker stops, put together. */
export class Runtime {
  readonly consumer: Consumer
  readonly intake: Intake
  readonly brokenBatches: BrokenBatches
  readonly flow: FlowControl
  readonly recovery: Recovery
  readonly standbys: Standbys
  readonly committer: Committer
  readonly changedRows: RowBudget
  readonly rebalance: Rebalance
  readonly elections: Elections
  readonly refusals: Refusals
  readonly #deps: RuntimeDeps
  readonly #guarantee: Guarantee
  readonly #strayRows: StrayRows
  readonly #instanceId: string | undefined
  #told: MemberData | undefined
  #joinsInVain = 0
  readonly #pausedEnds: PausedEnds
  readonly #purge: RepartitionPurge

  constructor(deps: RuntimeDeps) {
    this.#deps = deps
    const { options, sensor, gate, lease, topics, admin, outbox, stores, subscriptions, fail } = deps
    const { transport, clock, log, settings } = options
    // Safe because the store keeps other processes out: no two workers that run have the same id.
    this.#instanceId = settings.instanceId ?? options.store.capabilities.workerId
    const { isolation } = settings
    // The listener is made below; nobody calls it before `start`.
    const listener: RebalanceListener = {
      onRevoke: () => this.rebalance.onRevoke(),
      onAssign: (change) => {
        this.#joinsInVain = 0
        return this.rebalance.onAssign(change)
      },
      onLost: () => this.rebalance.onLost(),
    }
    this.consumer = transport.consumer({
      groupId: options.appId,
      topics: topics.sources,
      instanceId: this.#instanceId,
      assignor: taskAssignor,
      memberData: () => this.#memberData(),
      sessionTimeoutMs: settings.sessionTimeoutMs,
      rebalanceTimeoutMs: settings.rebalanceTimeoutMs,
      heartbeatIntervalMs: settings.heartbeatIntervalMs,
      isolation,
      maxPartitionBytes: MAX_PARTITION_BYTES,
      brokenBatches: 'deliver',
      listener,
      onOutOfRange: (lost) => this.intake.goOnAfterLoss(lost),
    })
    const { consumer } = this
    this.brokenBatches = new BrokenBatches({
      ...{ appId: options.appId, onBatchError: settings.onBatchError, clock, log, sensor },
      ...{ send: deps.send, signal: deps.signal },
    })
    this.intake = new Intake({
      brokenBatches: this.brokenBatches,
      consumer,
      rules: settings,
      clock,
      log,
      sensor,
      topics,
      subscriptions,
      sourceOf: (partition) => this.rebalance.sourceOf(partition),
      reopen: (id, reason, cutOff) => this.#reopen(id, reason, cutOff),
    })
    this.flow = new FlowControl({
      maxBufferedBytes: settings.maxBufferedBytes,
      pause: (partitions) => {
        consumer.pause(partitions)
        this.#pausedEnds.start()
      },
      resume: (partitions) => consumer.resume(partitions),
    })
    this.#pausedEnds = new PausedEnds({
      clock,
      log,
      isolation,
      paused: () =>
        this.rebalance.running.flatMap(({ sources }) =>
          sources.flatMap(({ source }) => (this.flow.pauseReason(source) === undefined ? [] : [source])),
        ),
      offsets: (partitions, level) => admin.offsets(partitions, level),
    })
    this.#purge = new RepartitionPurge({
      clock,
      log,
      lease,
      intervalMs: settings.repartitionPurgeIntervalMs,
      sources: () =>
        topics.purged.size === 0
          ? []
          : this.rebalance.running.flatMap((task) =>
              task.sources.flatMap(({ source }) => (topics.purged.has(source.topic) ? [source] : [])),
            ),
      deleteRecords: (before, sendOptions) => admin.deleteRecords(before, sendOptions),
    })
    this.refusals = new Refusals({
      suspects: deps.suspects,
      reopen: (id, reason) => this.#reopen(id, reason),
      fail,
    })
    const restoring: RestoreEnvironment = {
      ...{ stores, topics, clock, log, sensor, fail },
      // What is in no committed transaction is no row: at least once has no transactions, but may once have been exactly once.
      reader: () => transport.reader({ isolation: 'read-committed' }),
    }
    this.recovery = new Recovery(restoring)
    this.standbys = new Standbys(restoring, consumer, settings.acceptableRecoveryLag)
    this.#strayRows = new StrayRows(restoring)
    this.#guarantee = settings.exactlyOnce
      ? new ExactlyOnce({
          appId: options.appId,
          transport,
          consumer,
          ...settings,
          budget: deps.budget,
          delays: deps.delays,
          clock,
          log,
          sensor,
          lease,
          canHandOut: () => (gate.blocked & (BLOCKED_BY.rebalance | BLOCKED_BY.stop)) === 0,
          finishing: (on) => gate.finishing(on),
          onHeld: deps.onHeld,
          onRefused: (record, error) => this.refusals.refused(record, error),
          onBroken: fail,
          onTaskBroken: (id, output, error) => {
            const task = this.rebalance.tasks.get(id)
            if (task !== undefined && task.output === output) this.rebalance.reopen(task, error.message)
          },
        })
      : new AtLeastOnce({ outbox, consumer, lease, log, strayRows: this.#strayRows })
    this.committer = new Committer({
      clock,
      lease,
      tasks: () => this.rebalance.running,
      intervalMs: settings.commitIntervalMs,
      stores,
      guarantee: this.#guarantee,
      sensor,
      onCommitted: () => {
        this.#wake()
        this.#purge.start()
      },
      onBroken: fail,
    })
    this.changedRows = new RowBudget(settings.cacheBytes, {
      onHalf: () => {
        for (const task of tasksToCut(this.rebalance.running, settings.cacheBytes / 4)) this.committer.wanted(task)
      },
      onFull: (full) => gate.rowsFull(full),
    })
    this.elections = new Elections({
      appId: options.appId,
      clock,
      lease,
      transport,
      settings,
      lastHeartbeatMs: () => consumer.lastHeartbeatMs(),
      groupLife: () => this.rebalance.group.life ?? '',
      candidates: deps.candidates,
    })
    this.rebalance = new Rebalance({
      settings,
      clock,
      log,
      sensor,
      consumer,
      instanceId: this.#instanceId,
      told: () => this.#told,
      topics,
      gate,
      lease,
      suspects: deps.suspects,
      drain: deps.drain,
      flow: this.flow,
      committer: this.committer,
      guarantee: this.#guarantee,
      stores,
      standbys: this.standbys,
      opener: new TaskOpener({
        settings,
        clock,
        log,
        freeze: options.freeze,
        topics,
        stores,
        countChanged: (bytes) => this.changedRows.count(bytes),
        recovery: this.recovery,
        flow: this.flow,
        subscriptions,
        refusals: this.refusals,
        keyCodec: deps.keyCodec,
        committed: (partitions) => consumer.committed(partitions),
        offsets: (partitions, level) => admin.offsets(partitions, level),
      }),
      listener: {
        onTouched: (task) => this.committer.touched(task),
        onCutWanted: (task) => this.committer.wanted(task),
        // At least once, what has gone out stays out. In a transaction it can be taken back, with all the rest.
        onSpillFailed: (event, error) => {
          if (settings.exactlyOnce) this.refusals.failed(event, error)
        },
        onSpilled: (task) => {
          if (settings.exactlyOnce)
            this.rebalance.reopen(task, 'an event that had sent more than maxEventBytes has failed')
        },
        onNoMore: () => {
          for (const subscription of subscriptions()) subscription.wanted()
        },
        onMore: () => this.#wake(),
      },
      waits: deps.waits,
      subscriptions,
      onChange: deps.onChange,
      onOpened: deps.onOpened,
      onRunning: (task) => {
        this.elections.running(task)
        this.#purge.start()
      },
      onBroken: fail,
    })
  }

  async close(): Promise<void> {
    this.#pausedEnds.close()
    this.#purge.close()
    await this.recovery.close()
    await this.#strayRows.close()
  }

  /** The lease is back. */
  resume(): void {
    this.#guarantee.resume()
  }

  /** Unless it has gone meanwhile. */
  #reopen(id: string, reason: string, cutOff?: LostPosition): void {
    const task = this.rebalance.tasks.get(id)
    if (task !== undefined) this.rebalance.reopen(task, reason, cutOff)
  }

  #wake(): void {
    for (const subscription of this.#deps.subscriptions()) subscription.wake()
  }

  #memberData(): Uint8Array {
    const { topics, options } = this.#deps
    const acceptableLag = options.settings.acceptableRecoveryLag
    let address: string | undefined
    try {
      address = options.webAddress?.()
    } catch (thrown) {
      options.log.warn(
        { error: toError(thrown).message },
        'The web address of this worker is not known; others cannot route to it.',
      )
    }
    const data: MemberData = {
      groups: topics.groups,
      tasks: [...this.rebalance.tasks.keys()],
      generation: this.rebalance.generation,
      warm: stateHere(topics, this.recovery, {
        acceptableLag,
        inUseOnly: this.#joinsInVain++ >= MOST_JOINS_IN_VAIN,
      }),
      warmUp: { acceptableLag, most: options.settings.maxWarmUps, caughtUp: this.standbys.tell() },
      address,
      instanceId: this.#instanceId,
      life: this.rebalance.group.life,
      suspects: this.#deps.suspects.tell((partition) => this.rebalance.sourceOf(partition)?.source.committed),
    }
    this.#told = data
    return encodeMemberData(data)
  }
}
