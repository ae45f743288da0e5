import {
  type Admin,
  type Candidate,
  type Consumer,
  type LostPosition,
  type RebalanceListener,
  type RecordBatch,
  toError,
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
import { Refusals } from '../feeds/refusals.ts'
import type { Subscription } from '../feeds/subscription.ts'
import type { Drain } from '../group/drain.ts'
import { Elections } from '../group/elections.ts'
import type { Lease } from '../group/lease.ts'
import { encodeMemberData, type MemberData } from '../group/member-data.ts'
import { memberStamp } from '../group/member-stamp.ts'
import { Rebalance } from '../group/rebalance.ts'
import { taskAssignor } from '../group/task-assignor.ts'
import type { Outbox } from '../sending/outbox.ts'
import type { SendBudget } from '../sending/send-budget.ts'
import { afterLoss } from '../tasks/after-loss.ts'
import { Recovery } from '../tasks/recovery.ts'
import { Standbys } from '../tasks/standbys.ts'
import { StrayRows } from '../tasks/stray-rows.ts'
import { taskId } from '../tasks/task-id.ts'
import { TaskOpener } from '../tasks/task-opener.ts'
import type { TaskStores } from '../tasks/task-stores.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { CountingSensor } from './counting-sensor.ts'
import type { WorkerOptions } from './worker-options.ts'
import type { WorkerEvents } from './worker.ts'

/** One fetch per partition; more costs memory and gains nothing (reference: kafkajs.md §1). */
const MAX_PARTITION_BYTES = 256 * 1024

export interface RuntimeDeps {
  readonly options: WorkerOptions
  readonly sensor: CountingSensor
  readonly gate: HandOutGate
  readonly drain: Drain
  readonly lease: Lease
  readonly budget: SendBudget
  readonly topics: TopicDirectory
  readonly admin: Admin
  readonly outbox: Outbox
  readonly stores: TaskStores
  readonly subscriptions: () => readonly Subscription[]
  readonly candidates: () => readonly Candidate[]
  readonly keyCodec: (topic: string) => string | undefined
  readonly onChange: (change: WorkerEvents['rebalanceComplete']) => void
  readonly onOpened: () => void
  /** Sends are held because the lease has run out. */
  readonly onHeld: () => void
  readonly fail: (error: Error) => void
}

/** Everything that lives from the moment the topics are known until the worker stops, put together. */
export class Runtime {
  readonly consumer: Consumer
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
  #stamp: string | undefined
  readonly #pausedEnds: PausedEnds

  constructor(deps: RuntimeDeps) {
    this.#deps = deps
    const { options, sensor, gate, lease, topics, admin, outbox, stores, subscriptions, fail } = deps
    const { transport, clock, log, settings } = options
    // Safe because the store keeps other processes out: no two workers that run have the same id.
    this.#instanceId = settings.instanceId ?? options.store.capabilities.workerId
    const isolation = settings.exactlyOnce ? 'read-committed' : 'read-uncommitted'
    // The listener is made below; nobody calls it before `start`.
    const listener: RebalanceListener = {
      onRevoke: () => this.rebalance.onRevoke(),
      onAssign: (change) => this.rebalance.onAssign(change),
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
      listener,
      onOutOfRange: (lost) => this.#goOnAfterLoss(lost),
    })
    const { consumer } = this
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
    this.refusals = new Refusals({
      reopen: (id, reason) => {
        const task = this.rebalance.tasks.get(id)
        if (task !== undefined) this.rebalance.reopen(task, reason)
      },
      fail,
    })
    this.recovery = new Recovery({
      stores,
      reader: () => transport.reader({ isolation }),
      clock,
      log,
      sensor,
      onBroken: fail,
    })
    this.standbys = new Standbys({
      stores,
      topics,
      reader: () => transport.reader({ isolation }),
      clock,
      log,
      onBroken: fail,
    })
    this.#strayRows = new StrayRows({ reader: () => transport.reader({ isolation }), log })
    this.#guarantee = settings.exactlyOnce
      ? new ExactlyOnce({
          appId: options.appId,
          transport,
          consumer,
          ...settings,
          budget: deps.budget,
          clock,
          log,
          sensor,
          lease,
          canHandOut: () => (gate.blocked & (BLOCKED_BY.rebalance | BLOCKED_BY.stop)) === 0,
          finishing: (on) => gate.finishing(on),
          onHeld: deps.onHeld,
          onRefused: (record, error) => this.refusals.refused(record, error),
          onTaskBroken: (id, output, error) => {
            const task = this.rebalance.tasks.get(id)
            if (task !== undefined && task.output === output) this.rebalance.reopen(task, error.message)
          },
        })
      : new AtLeastOnce({ outbox, consumer, lease, log, strayRows: this.#strayRows })
    this.committer = new Committer({
      clock,
      intervalMs: settings.commitIntervalMs,
      stores,
      guarantee: this.#guarantee,
      sensor,
      onCommitted: () => this.#wake(),
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
      stamp: () => this.#stamp,
      topics,
      gate,
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
        onSpilled: (task) => {
          if (settings.exactlyOnce)
            this.rebalance.reopen(task, 'an event that had sent more than maxEventBytes has failed')
        },
        onNoMore: () => {
          for (const subscription of subscriptions()) subscription.wanted()
        },
      },
      subscriptions,
      onChange: deps.onChange,
      onOpened: deps.onOpened,
      onRunning: (task) => this.elections.running(task),
      onBroken: fail,
    })
  }

  /** Hands batches to their partitions until the consumer is closed. Throws what the consumer fails with. */
  async fetch(): Promise<void> {
    for await (const batch of this.consumer.batches()) this.#take(batch)
  }

  async close(): Promise<void> {
    this.#pausedEnds.close()
    await this.recovery.close()
    await this.#strayRows.close()
  }

  /** The lease is back. */
  resume(): void {
    this.#guarantee.resume()
  }

  #take(batch: RecordBatch): void {
    const { sensor, subscriptions, options } = this.#deps
    const found = this.rebalance.sourceOf(batch)
    if (found === undefined) return
    const { source } = found
    if (source.position === source.committed || source.movedAtMs < 0) source.movedAtMs = options.clock.monotonic()
    source.push(batch)
    sensor.batchFetched({
      topic: batch.topic,
      partition: batch.partition,
      records: batch.records.length,
      bytes: batch.bytes,
      endOffset: batch.endOffset,
    })
    for (const subscription of subscriptions()) if (subscription.spec.topics.includes(batch.topic)) subscription.wake()
  }

  /** Throws what ends the worker. */
  #goOnAfterLoss(lost: LostPosition): void {
    const { options, topics } = this.#deps
    const { topic, partition, end } = lost
    if (this.rebalance.sourceOf(lost) === undefined) return
    const { offset, again, told } = afterLoss(lost, options.settings)
    if (again) {
      // All that the task has belongs to offsets that will be given to other records.
      const task = this.rebalance.tasks.get(taskId(topics.partitions(topic) ?? 0, partition))
      if (task !== undefined) this.rebalance.reopen(task, told)
      return
    }
    options.log.error({ topic, partition, offset }, told)
    // As a batch without records: so that the commits pass the hole even when nothing follows it.
    this.#take({ topic, partition, records: [], nextOffset: offset, bytes: 0, endOffset: end })
    this.consumer.seek(lost, offset)
  }

  #wake(): void {
    for (const subscription of this.#deps.subscriptions()) subscription.wake()
  }

  #memberData(): Uint8Array {
    const { topics, options } = this.#deps
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
      warm: this.standbys.warm,
      address,
      instanceId: this.#instanceId,
      life: this.rebalance.group.life,
    }
    this.#stamp = memberStamp(data)
    return encodeMemberData(data)
  }
}
