import { type Deferred, deferred, isMillraceError, withinLimit } from '@millrace/core'
import type { Admin, AssignmentChange, Consumer, RebalanceListener } from '@millrace/core/driver'
import type { GroupStats } from '../contracts/stats.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import { Elections } from '../group/elections.ts'
import { WorkerMember } from '../group/worker-member.ts'
import { planRebalance } from '../group/plan-rebalance.ts'
import { taskAssignor } from '../group/task-assignor.ts'
import { Recovery } from '../restore/recovery.ts'
import { Standbys } from '../restore/standbys.ts'
import { Tasks } from '../task/tasks.ts'
import type { Task } from '../task/task.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import { BrokenBatchHandler } from './broken-batches.ts'
import { FetchLoop } from './fetch-loop.ts'
import type { Worker } from './worker.ts'

/** The size of a fetch per partition; more costs memory and gains nothing (reference: kafkajs.md §1). */
const MAX_PARTITION_BYTES = 256 * 1024

/**
 * The worker as a member of its group, once its topics are known: its tasks, and a loop that fetches for them. A
 * rebalance from beginning to end:
 *
 *     onRevoke   stop handing out → events in flight finish → commit   (still in the old generation)
 *     onAssign   lost: close  ·  kept: stay as they are  ·  gained: open in the background (`openTask`)
 *     onLost     everything is lost, nothing can be committed
 */
export class GroupMember implements RebalanceListener {
  readonly topics: TopicDirectory
  readonly admin: Admin
  readonly consumer: Consumer
  readonly tasks: Tasks
  readonly fetchLoop: FetchLoop
  readonly brokenBatches: BrokenBatchHandler
  readonly standbys: Standbys
  readonly member: WorkerMember
  readonly elections: Elections
  readonly #worker: Worker
  #rebalancingSinceMs: number | undefined
  /** The state of the membership, and since when. */
  #membership: { readonly state: GroupStats['state']; readonly sinceMs: number }
  /** The worker's last drain and commit. */
  #finishing: Promise<void> | undefined
  /** Tasks that this worker has committed for the last time during its stop, and no longer claims. The list grows. */
  #handedOver: readonly Task[] = []
  /** How many of these there were at the last hand-over. */
  #offered = 0
  readonly #handingOver: Deferred<void> = deferred<void>()

  constructor(worker: Worker, topics: TopicDirectory, admin: Admin) {
    const { environment, lease, stores, blockingEvents, instanceId, webAddress } = worker
    const { settings, transport, clock, log, sensor } = environment
    this.#worker = worker
    this.#membership = { state: topics.sources.length === 0 ? 'none' : 'joining', sinceMs: clock.monotonic() }
    this.topics = topics
    this.admin = admin
    if (!settings.leaveOnStop && instanceId === undefined)
      log.warn(
        {},
        'leaveOnStop is off, but without an instanceId no worker can resume this membership: this worker leaves the group.',
      )
    // The consumer calls nothing before `start`, and by then everything below exists.
    this.consumer = transport.consumer({
      groupId: environment.appId,
      topics: topics.sources,
      instanceId,
      assignor: taskAssignor,
      memberData: () =>
        this.member.data({
          tasks: [...this.tasks.all.values()].filter((task) => !this.#handedOver.includes(task)).map(({ id }) => id),
          committed: (partition) => this.tasks.sourceOf(partition)?.source.committed,
          isLeaving: this.#finishing !== undefined && this.leavesOnStop,
        }),
      sessionTimeoutMs: settings.sessionTimeoutMs,
      rebalanceTimeoutMs: settings.rebalanceTimeoutMs,
      heartbeatIntervalMs: settings.heartbeatIntervalMs,
      isolation: settings.isolation,
      maxPartitionBytes: MAX_PARTITION_BYTES,
      brokenBatches: 'deliver',
      listener: this,
      onOutOfRange: (lost) => this.fetchLoop.goOnAfterLoss(lost),
    })
    lease.follow(this.consumer)
    // Reads committed rows only. At least once has no transactions, but the app may have been run with exactly once
    // before.
    const reader = (): ReturnType<typeof transport.reader> => transport.reader({ isolation: 'read-committed' })
    const fail = (error: Error): void => worker.fail(error)
    const restoring = { stores, topics, clock, log, sensor, reader, fail }
    const recovery = new Recovery(restoring)
    this.standbys = new Standbys(restoring, this.consumer, settings.acceptableRecoveryLag)
    const { consumer, standbys } = this
    this.member = new WorkerMember({ environment, instanceId, webAddress, topics, recovery, standbys, blockingEvents })
    const { candidates } = worker.topology
    this.elections = new Elections(environment, { lease, member: this.member, candidates })
    const { elections } = this
    const onRunning = (task: Task): void => elections.running(task)
    this.tasks = new Tasks(worker, { topics, admin, consumer, recovery, onRunning })
    this.brokenBatches = new BrokenBatchHandler(environment, worker.context)
    this.fetchLoop = new FetchLoop(this.tasks, this.brokenBatches)
  }

  /** False if it keeps its membership for its return. */
  get leavesOnStop(): boolean {
    return this.#worker.environment.settings.leaveOnStop || this.#worker.instanceId === undefined
  }

  get membership(): Pick<GroupStats, 'state' | 'forMs'> {
    const { state, sinceMs } = this.#membership
    return { state, forMs: this.#worker.environment.clock.monotonic() - sinceMs }
  }

  /** True between the news of a rebalance and its outcome. */
  get isRebalancing(): boolean {
    return this.#rebalancingSinceMs !== undefined
  }

  async onRevoke(): Promise<void> {
    const { clock, log, sensor, settings } = this.#worker.environment
    // A stopping worker drains and commits by itself. The rebalance of the others waits for that, but not for long.
    if (this.#finishing !== undefined) return Promise.race([this.#finishing, this.#handingOver.promise])
    this.#rebalancingSinceMs = clock.monotonic()
    this.#is('rebalancing')
    sensor.rebalanceStarted()
    this.#worker.handOut.block(NOT_NOW.rebalance)
    const { running, committer } = this.tasks
    if (!(await this.drain(settings.drainTimeoutMs)))
      log.warn(
        { inFlight: this.tasks.describeInFlight() },
        `Events were still in flight after ${settings.drainTimeoutMs} ms (drainTimeout); those of lost partitions are handled again by their new owner.`,
      )
    try {
      // Tasks that wait for a partition that accepts no records are left out: their uncommitted events are handled
      // again, here or by the next owner. Otherwise the whole group would wait too.
      const able = running.filter(({ blocked }) => (blocked & NOT_NOW.delayed) === 0)
      if (!(await withinLimit(clock, settings.rebalanceTimeoutMs / 2, committer.commit(able))))
        log.warn(
          {},
          'The last commit before the rebalance took too long; events since the one before may be handled again.',
        )
    } catch (thrown) {
      // If the worker was removed from the group meanwhile, `onLost` follows. Any other error ends it.
      if (!isMillraceError(thrown, 'MEMBER_FENCED', 'NOT_ASSIGNED')) throw thrown
    }
  }

  /**
   * Takes up an assignment, in this order, within one turn of the event loop:
   *
   *     1 the lease is renewed         because joining is a sign of life
   *     2 blocking events are noted    before tasks that have them are opened
   *     3 stores are kept open         those of kept and gained tasks and of copies; before tasks are closed
   *     4 lost tasks are closed        their stores are released before a copy of the same task opens one
   *     5 copies follow                none of a task that is here: a store is open once
   *     6 gained tasks are made        blocked by `opening`
   *     7 hand-out goes on             for kept tasks, which repeat their watermarks for new owners; after 4, so that nothing of a
   *                                    lost one goes out
   *     8 the rebalance is over        sensors and listeners are notified
   *     9 gained tasks are opened      in the background; those with a blocking event after the others
   *
   * A stopping worker gains nothing and keeps no copies.
   */
  async onAssign(change: AssignmentChange): Promise<void> {
    const { clock } = this.#worker.environment
    this.#worker.lease.renew()
    this.#rebalancingSinceMs ??= clock.monotonic()
    const isStopping = this.#finishing !== undefined
    const { blockingEvents, copies: wanted, warmUps } = this.member.assigned(change)
    this.#worker.blockingEvents.learn(blockingEvents)
    const plan = planRebalance(change, this.tasks.all, (topic) => this.topics.partitionsOfSource(topic))
    // A foreign leader may ask for a copy of a task that is here.
    const own = new Set([...plan.kept, ...plan.gained.map(({ id }) => id)])
    const copies = isStopping ? [] : wanted.filter(({ task }) => !own.has(task))
    const kept = plan.kept.flatMap((id) => this.tasks.all.get(id) ?? [])
    this.tasks.keepStores([...kept, ...plan.gained], copies)
    this.tasks.lose(plan.lost, 'another worker has it now')
    this.standbys.assign(copies)
    this.standbys.expect(isStopping ? [] : warmUps)
    const gained = isStopping ? [] : plan.gained.map((task) => this.tasks.add(task))
    for (const { time } of kept) time?.repeatWatermarks()
    this.#handOutAgain()
    this.#rebalanced(change, clock.monotonic() - this.#rebalancingSinceMs)
    if (!isStopping && this.member.asksToBeNoted()) this.#askToBeNoted()
    this.#open(gained)
  }

  async onLost(): Promise<void> {
    const { clock, log } = this.#worker.environment
    this.#worker.lease.end()
    this.#is('out')
    this.#rebalancingSinceMs ??= clock.monotonic()
    const lost = [...this.tasks.all.values()].flatMap((task) => task.assigned)
    log.warn(
      { partitions: lost.length },
      'The group has gone on without this worker: all its partitions are lost for now.',
    )
    this.tasks.lose([...this.tasks.all.keys()], 'the group has gone on without this worker')
    this.member.lost()
    this.#handOutAgain()
    this.#worker.rebalanced({ lost, kept: [], gained: [] })
  }

  /** Waits until no event is in flight; returns false if the time ran out. Hand-out must be stopped. */
  drain(limitMs: number): Promise<boolean> {
    return this.#worker.drain.run(this.tasks.all.values(), limitMs)
  }

  /** Takes no more tasks. `finishing` is the worker's last drain and commit. */
  stop(finishing: Promise<void>): void {
    this.#finishing = finishing
    this.tasks.keepStores([], [])
    this.standbys.expect([])
  }

  /**
   * Called after `stop`, while some task still waits for its events. Rebalances of the group no longer wait for this
   * worker, and the group may have `tasks`, a list that may grow. This worker claims only the others, and rejoins when
   * there are more tasks to hand over than at the last call.
   */
  handOver(tasks: readonly Task[]): void {
    this.#handingOver.resolve()
    if (!this.leavesOnStop) return
    this.#handedOver = tasks
    if (tasks.length > this.#offered && this.member.group.members.size > 1) this.consumer.rejoin()
    this.#offered = tasks.length
  }

  /** Closes all tasks, after `stop`. */
  async closeTasks(): Promise<void> {
    this.tasks.lose([...this.tasks.all.keys()], 'the worker is stopping')
    await this.standbys.close()
    await this.tasks.closed()
    // Tasks that were being opened close their stores when they learn that they are lost.
    await this.#worker.stores.released()
  }

  #rebalanced(change: AssignmentChange, durationMs: number): void {
    this.#rebalancingSinceMs = undefined
    this.#is('member')
    const counts = { lost: change.lost.length, kept: change.kept.length, gained: change.gained.length }
    this.#worker.environment.sensor.rebalanceCompleted({ ...counts, durationMs })
    this.#worker.rebalanced({ lost: change.lost, kept: change.kept, gained: change.gained })
  }

  #askToBeNoted(): void {
    this.#worker.environment.log.info(
      { instanceId: this.member.instanceId },
      'This worker has resumed its membership with another address or other topics: a rebalance informs the group.',
    )
    this.consumer.rejoin()
  }

  #open(gained: readonly Task[]): void {
    const later = gained.filter(({ assigned }) => this.#worker.blockingEvents.isUnclear(assigned))
    // Joining is itself a sign of life from the group.
    void this.tasks.open(
      gained.filter((task) => !later.includes(task)),
      -Infinity,
    )
    if (later.length > 0) this.tasks.openLater(later)
  }

  #is(state: GroupStats['state']): void {
    this.#membership = { state, sinceMs: this.#worker.environment.clock.monotonic() }
  }

  #handOutAgain(): void {
    if (this.#finishing !== undefined) return
    this.#worker.drain.over()
    this.#worker.handOut.unblock(NOT_NOW.rebalance)
  }
}
