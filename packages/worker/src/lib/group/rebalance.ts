import {
  type AssignmentChange,
  type Clock,
  type Consumer,
  isMillraceError,
  type Logger,
  type LostPosition,
  partitionKey,
  type RebalanceListener,
  type Sensor,
  toError,
  type TopicPartition,
  type WaitForTask,
} from '@millrace/core'
import type { Committer } from '../commit/committer.ts'
import type { Guarantee } from '../commit/guarantee.ts'
import type { FlowControl } from '../feeds/flow-control.ts'
import { BLOCKED_BY, type HandOutGate } from '../feeds/hand-out-gate.ts'
import type { Subscription } from '../feeds/subscription.ts'
import type { Suspects } from '../feeds/suspects.ts'
import { describeInHand } from '../tasks/describe-in-hand.ts'
import type { Standbys } from '../restore/standbys.ts'
import type { TaskOpener } from '../tasks/task-opener.ts'
import { TaskOpenings } from '../tasks/task-openings.ts'
import type { TaskListener, TaskRuntime, TaskSource } from '../tasks/task-runtime.ts'
import { TasksHere } from '../tasks/tasks-here.ts'
import type { TaskStores } from '../restore/task-stores.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { WorkerSettings } from '../worker/worker-options.ts'
import { withinLimit } from '../worker/within-limit.ts'
import type { WorkerEvents } from '../worker/worker.ts'
import { changedTasks } from './changed-tasks.ts'
import { copiesFor, warmUpsFor } from './copies-for.ts'
import type { Drain } from './drain.ts'
import { decodeGroupData, type GroupData, memberName, NO_GROUP_DATA } from './group-data.ts'
import type { MemberData } from './member-data.ts'
import type { Lease } from './lease.ts'
import { isOutdated } from './member-stamp.ts'
import { decodeOwnData } from './own-data.ts'
import { rebalanceReason } from './rebalance-reason.ts'

/** What a task that is being opened when the worker stops has to close its stores. */
const LAST_STORES_MS = 5000
/** Of the opening of a task. */
const LONGEST_DELAY_MS = 10_000

export interface RebalanceDeps {
  readonly settings: Pick<WorkerSettings, 'drainTimeoutMs' | 'rebalanceTimeoutMs' | 'sessionTimeoutMs'>
  readonly clock: Clock
  readonly log: Logger
  readonly sensor: Pick<Sensor, 'rebalanceStarted' | 'rebalanceCompleted'>
  readonly consumer: Pick<Consumer, 'seek' | 'stop' | 'rejoin'>
  /** Of a static member; its name in the group in place of the member id, which is another one after each start. */
  readonly instanceId: string | undefined
  /** What was told at the last join. */
  readonly told: () => Pick<MemberData, 'groups' | 'address'> | undefined
  readonly topics: TopicDirectory
  readonly gate: HandOutGate
  readonly lease: Pick<Lease, 'end' | 'renew'>
  readonly suspects: Pick<Suspects, 'learn' | 'isUnclear'>
  readonly drain: Drain
  readonly flow: FlowControl
  readonly committer: Committer
  readonly guarantee: Guarantee
  readonly stores: TaskStores
  readonly standbys: Pick<Standbys, 'assign' | 'expect' | 'close'>
  readonly opener: TaskOpener
  readonly waits: () => readonly WaitForTask[]
  readonly listener: TaskListener
  readonly subscriptions: () => readonly Subscription[]
  readonly onChange: (change: WorkerEvents['rebalanceComplete']) => void
  /** No task is being opened any more. */
  readonly onOpened: () => void
  /** This task has begun to run; its signal aborts when it is lost. */
  readonly onRunning: (task: TaskRuntime) => void
  readonly onBroken: (error: Error) => void
}

/**
 * A rebalance from beginning to end:
 *
 *     onRevoke   stop handing out → events in hand finish → cut        (still in the old generation)
 *     onAssign   lost: abort, drop, close  ·  kept: go on as they are  ·  gained: open in the background (`TaskOpenings`)
 *     onLost     everything is lost, nothing can be committed
 */
export class Rebalance implements RebalanceListener {
  readonly #deps: RebalanceDeps
  readonly #here: TasksHere
  readonly #openings: TaskOpenings
  #group: GroupData = NO_GROUP_DATA
  #memberId: string | undefined
  #generation = 0
  /** Tasks whose opening waits. */
  #held = 0
  #count = 0
  #reason = ''
  #startedMs: number | undefined
  #stopping: Promise<void> | undefined

  constructor(deps: RebalanceDeps) {
    this.#deps = deps
    this.#here = new TasksHere(deps)
    this.#openings = new TaskOpenings({
      ...deps,
      here: this.#here,
      onFailed: (tasks, thrown) => this.#failed(tasks, thrown),
    })
  }

  get tasks(): ReadonlyMap<string, TaskRuntime> {
    return this.#here.all
  }

  get running(): readonly TaskRuntime[] {
    return this.#here.running
  }

  get group(): GroupData {
    return this.#group
  }

  get memberId(): string | undefined {
    return this.#memberId
  }

  get generation(): number {
    return this.#generation
  }

  /** Tasks on their way to running. */
  get opening(): number {
    return this.#openings.underWay + this.#held
  }

  get count(): number {
    return this.#count
  }

  /** Of the last one, in words. */
  get reason(): string {
    return this.#reason
  }

  /** Between being told of a rebalance and having its outcome. */
  get underWay(): boolean {
    return this.#startedMs !== undefined
  }

  async onRevoke(): Promise<void> {
    const { clock, log, sensor, settings, gate, committer } = this.#deps
    // A worker that stops drains and commits by itself; it must not rejoin before that is done.
    if (this.#stopping !== undefined) return this.#stopping
    this.#startedMs = clock.monotonic()
    sensor.rebalanceStarted()
    gate.block(BLOCKED_BY.rebalance)
    const tasks = this.running
    if (!(await this.drain(settings.drainTimeoutMs)))
      log.warn(
        { inHand: describeInHand(tasks) },
        `Events were still in hand after ${settings.drainTimeoutMs} ms (drainTimeout); those of lost partitions are handled again by their new owner.`,
      )
    try {
      // What waits for a partition that takes no records is handled again, here or by its new owner: the group does not wait too.
      const able = tasks.filter(({ output }) => output.delays === 0)
      if (!(await withinLimit(clock, settings.rebalanceTimeoutMs / 2, committer.cut(able))))
        log.warn(
          {},
          'The last commit before the rebalance took too long; events since the one before may be handled again.',
        )
    } catch (thrown) {
      // Being thrown out meanwhile is told by onLost; anything else is for good.
      if (!isMillraceError(thrown, 'MEMBER_FENCED', 'NOT_ASSIGNED')) throw thrown
    }
  }

  async onAssign(change: AssignmentChange): Promise<void> {
    const { clock, sensor, lease, suspects, onChange, instanceId, topics, standbys } = this.#deps
    lease.renew()
    this.#startedMs ??= clock.monotonic()
    const self = memberName(instanceId ?? change.memberId)
    this.#memberId = self
    this.#generation = change.generation
    const group = decodeGroupData(change.groupData)
    const own = decodeOwnData(change.ownData)
    this.#deps.suspects.learn(own.suspects)
    this.#reason = rebalanceReason({ before: this.#group, after: group, self, isFirst: this.#count === 0 })
    this.#group = group
    const { lost, gained } = changedTasks(change, this.tasks, (topic) => topics.partitions(topic))
    const copies = this.#stopping === undefined ? copiesFor(self, { ...group, ...own }, topics) : []
    const staying = [...this.tasks.values()].filter(({ id }) => !lost.includes(id))
    this.#here.want([...staying, ...gained.map(([place]) => place)], copies)
    this.#here.lose(lost, 'another worker has it now')
    standbys.assign(copies)
    standbys.expect(this.#stopping === undefined ? warmUpsFor(self, group) : [])
    const opened =
      this.#stopping !== undefined ? [] : gained.map(([place, assigned]) => this.#here.add(place, assigned))
    this.#handOutAgain()
    this.#count++
    const durationMs = clock.monotonic() - this.#startedMs
    this.#startedMs = undefined
    sensor.rebalanceCompleted({
      lost: change.lost.length,
      kept: change.kept.length,
      gained: change.gained.length,
      durationMs,
    })
    onChange({ lost: change.lost, kept: change.kept, gained: change.gained })
    this.#refresh()
    // To have joined is to have been heard of.
    const later = opened.filter(({ assigned }) => suspects.isUnclear(assigned))
    void this.#openings.open(
      opened.filter((task) => !later.includes(task)),
      -Infinity,
    )
    if (later.length > 0) this.#openLater(later)
  }

  async onLost(): Promise<void> {
    const { clock, log, lease, onChange } = this.#deps
    lease.end()
    this.#startedMs ??= clock.monotonic()
    const lost = [...this.tasks.values()].flatMap((task) => task.assigned)
    log.warn(
      { partitions: lost.length },
      'The group has gone on without this worker: all its partitions are lost for now.',
    )
    this.#here.lose([...this.tasks.keys()], 'the group has gone on without this worker')
    this.#group = { ...NO_GROUP_DATA, life: this.#group.life }
    this.#handOutAgain()
    onChange({ lost, kept: [], gained: [] })
  }

  /** A partition of a running task. */
  sourceOf(partition: TopicPartition): TaskSource | undefined {
    return this.#here.sourceOf(partition)
  }

  /** Waits until no event is in hand; false when the time ran out. Hand-out must be stopped. */
  drain(limitMs: number): Promise<boolean> {
    return this.#deps.drain.run(this.tasks.values(), limitMs)
  }

  /**
   * Drops a task whole, with all that is in hand, and opens it again from what is committed; in a stop the next owner does.
   * `cutOff`: a partition of it ends before what had been read.
   */
  reopen(task: TaskRuntime, reason: string, cutOff?: LostPosition): void {
    if (task.closed) return
    const { log } = this.#deps
    if (this.#stopping !== undefined) {
      // Whoever has it next opens it; what this worker has of it must not be in its last commit.
      log.warn({ task: task.id }, `Task ${task.id} is given up without a last commit: ${reason}.`)
      return this.#here.lose([task.id], reason)
    }
    log.warn({ task: task.id }, `Task ${task.id} is opened again: ${reason}.`)
    // What was found out before it began to run has not come to anything yet.
    const foundEnds = new Map(task.running ? [] : task.foundEnds)
    if (cutOff !== undefined) foundEnds.set(partitionKey(cutOff), cutOff.end)
    this.#here.lose([task.id], reason)
    void this.#openings.open([this.#here.add(task, task.assigned, foundEnds)], this.#deps.clock.monotonic())
  }

  /** No task is taken any more; `finishing` is the worker's last drain and commit. */
  stop(finishing: Promise<void>): void {
    this.#stopping = finishing
    this.#here.want([], [])
    this.#deps.standbys.expect([])
  }

  /** Closes all tasks, after `stop`. */
  async close(): Promise<void> {
    const { clock, log, standbys, stores } = this.#deps
    this.#here.lose([...this.tasks.keys()], 'the worker stops')
    await standbys.close()
    await this.#here.closed()
    // Tasks that were being opened close theirs when they hear that they are lost.
    if (!(await withinLimit(clock, LAST_STORES_MS, stores.released())))
      log.warn(
        {},
        `Stores of tasks that were being opened were still open ${LAST_STORES_MS} ms after the tasks were lost.`,
      )
  }

  /**
   * A static member that comes back gets what was given to the one before it, and the others still have that one's web
   * address. When that does not fit any more the group is asked for a rebalance, in which no task moves for its sake.
   */
  #refresh(): void {
    const { instanceId, told, consumer, log } = this.#deps
    const last = told()
    if (this.#stopping !== undefined || instanceId === undefined || last === undefined) return
    if (!isOutdated(this.#group, memberName(instanceId), last)) return
    log.info(
      { instanceId },
      'This worker is back in its place with another address or other topics: the group is told in a rebalance.',
    )
    consumer.rejoin()
  }

  /**
   * One of several events in them blocks the event loop, and will do so again: what else is here is handled and committed
   * first.
   */
  #openLater(tasks: readonly TaskRuntime[]): void {
    const { clock, log, settings } = this.#deps
    const delayMs = Math.min(settings.sessionTimeoutMs, LONGEST_DELAY_MS)
    log.warn(
      { tasks: tasks.map(({ id }) => id) },
      `In ${tasks.length === 1 ? 'a task' : `${tasks.length} tasks`} some event has blocked the event loop of a worker for longer than its session: begun in ${delayMs} ms, after the others.`,
    )
    this.#held += tasks.length
    clock.schedule(delayMs, () => {
      this.#held -= tasks.length
      if (this.#stopping === undefined)
        void this.#openings.open(
          tasks.filter((task) => !task.closed),
          clock.monotonic(),
        )
    })
  }

  #handOutAgain(): void {
    if (this.#stopping !== undefined) return
    this.#deps.drain.over()
    this.#deps.gate.unblock(BLOCKED_BY.rebalance)
  }

  /** A task that was lost on the way fails at any point, and nobody minds. */
  #failed(tasks: readonly TaskRuntime[], thrown: unknown): void {
    if (this.#stopping !== undefined || tasks.every((task) => task.closed)) return
    const error = toError(thrown)
    if (!isMillraceError(error, 'PRODUCER_FENCED')) return this.#deps.onBroken(error)
    for (const task of tasks) this.reopen(task, error.message)
  }
}
