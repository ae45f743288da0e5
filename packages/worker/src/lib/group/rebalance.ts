import {
  type AssignmentChange,
  type Clock,
  type Consumer,
  isMillraceError,
  type Logger,
  partitionKey,
  type RebalanceListener,
  type Sensor,
  toError,
  type TopicPartition,
} from '@millrace/core'
import type { Committer } from '../commit/committer.ts'
import type { Guarantee } from '../commit/guarantee.ts'
import type { FlowControl } from '../feeds/flow-control.ts'
import { BLOCKED_BY, type HandOutGate } from '../feeds/hand-out-gate.ts'
import type { Subscription } from '../feeds/subscription.ts'
import { taskId } from '../tasks/task-id.ts'
import type { Knowledge, TaskOpener } from '../tasks/task-opener.ts'
import { type TaskListener, TaskRuntime, type TaskSource } from '../tasks/task-runtime.ts'
import type { CopyPlace, Standbys } from '../tasks/standbys.ts'
import type { TaskStores } from '../tasks/task-stores.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { WorkerSettings } from '../worker/worker-options.ts'
import { withinLimit } from '../worker/within-limit.ts'
import type { WorkerEvents } from '../worker/worker.ts'
import { copiesFor } from './copies-for.ts'
import type { Drain } from './drain.ts'
import { decodeGroupData, type GroupData, NO_GROUP_DATA } from './group-data.ts'
import { isOutdated } from './member-stamp.ts'
import { rebalanceReason } from './rebalance-reason.ts'

/** Until the first commit of a new task is tried again. */
const FIRST_COMMIT_RETRY_MS = 100

export interface RebalanceDeps {
  readonly settings: Pick<WorkerSettings, 'drainTimeoutMs' | 'rebalanceTimeoutMs' | 'cacheBytes'>
  readonly clock: Clock
  readonly log: Logger
  readonly sensor: Pick<Sensor, 'rebalanceStarted' | 'rebalanceCompleted'>
  readonly consumer: Pick<Consumer, 'seek' | 'rejoin'>
  /** Of a static member; its name in the group in place of the member id, which is another one after each start. */
  readonly instanceId: string | undefined
  /** `memberStamp` as told at the last join. */
  readonly stamp: () => string | undefined
  readonly topics: TopicDirectory
  readonly gate: HandOutGate
  readonly drain: Drain
  readonly flow: FlowControl
  readonly committer: Committer
  readonly guarantee: Guarantee
  readonly stores: TaskStores
  readonly standbys: Pick<Standbys, 'assign' | 'close'>
  readonly opener: TaskOpener
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
 * A rebalance from beginning to end, and with it the tasks that are here:
 *
 *     onRevoke   stop handing out → events in hand finish → cut        (still in the old generation)
 *     onAssign   lost: abort, drop, close  ·  kept: go on as they are  ·  gained: open in the background
 *     open       fence → offsets → stores → recover → first commit → seek → hand out
 *     onLost     everything is lost, nothing can be committed
 *
 * What is opened in the background may be lost at any await: its signal then aborts, and the rest of the way is left out.
 */
export class Rebalance implements RebalanceListener {
  readonly #deps: RebalanceDeps
  readonly #tasks = new Map<string, TaskRuntime>()
  /** By topic and partition: asked for each batch. */
  readonly #sources = new Map<string, TaskSource[]>()
  readonly #closing = new Set<Promise<void>>()
  #group: GroupData = NO_GROUP_DATA
  #memberId: string | undefined
  #generation = 0
  #opening = 0
  #count = 0
  #reason = ''
  #startedMs: number | undefined
  #stopping: Promise<void> | undefined

  constructor(deps: RebalanceDeps) {
    this.#deps = deps
  }

  get tasks(): ReadonlyMap<string, TaskRuntime> {
    return this.#tasks
  }

  get running(): readonly TaskRuntime[] {
    return [...this.#tasks.values()].filter((task) => task.running)
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
    return this.#opening
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
      if (!(await withinLimit(clock, settings.rebalanceTimeoutMs / 2, committer.cut(tasks))))
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
    const { clock, sensor, onChange, instanceId, topics, standbys } = this.#deps
    this.#startedMs ??= clock.monotonic()
    const self = instanceId ?? change.memberId
    this.#memberId = self
    this.#generation = change.generation
    const group = decodeGroupData(change.groupData)
    this.#reason = rebalanceReason({ before: this.#group, after: group, self, isFirst: this.#count === 0 })
    this.#group = group
    const { lost, gained } = this.#compare({
      lost: change.lost,
      kept: this.#known(change.kept),
      gained: this.#known(change.gained),
    })
    const copies = this.#stopping === undefined ? copiesFor(self, group, topics) : []
    const staying = [...this.#tasks.values()].filter(({ id }) => !lost.includes(id))
    this.#want([...staying, ...gained.map(([place]) => place)], copies)
    for (const id of lost) this.#lose(id, 'another worker has it now')
    this.#purge()
    standbys.assign(copies)
    const opened =
      this.#stopping !== undefined ? [] : gained.map(([partition, assigned]) => this.#add(partition, assigned))
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
    void this.#openAll(opened, -Infinity)
  }

  async onLost(): Promise<void> {
    const { clock, log, onChange } = this.#deps
    this.#startedMs ??= clock.monotonic()
    const lost = [...this.#tasks.values()].flatMap((task) => task.assigned)
    log.warn(
      { partitions: lost.length },
      'The group has gone on without this worker: all its partitions are lost for now.',
    )
    for (const id of [...this.#tasks.keys()]) this.#lose(id, 'the group has gone on without this worker')
    this.#purge()
    this.#group = { ...NO_GROUP_DATA, life: this.#group.life }
    this.#handOutAgain()
    onChange({ lost, kept: [], gained: [] })
  }

  /** A partition of a running task. */
  sourceOf({ topic, partition }: TopicPartition): TaskSource | undefined {
    return this.#sources.get(topic)?.[partition]
  }

  /** Waits until no event is in hand; false when the time ran out. Hand-out must be stopped. */
  drain(limitMs: number): Promise<boolean> {
    return this.#deps.drain.run(this.#tasks.values(), limitMs)
  }

  /** Drops a task whole, with all that is in hand, and opens it again from what is committed. */
  reopen(task: TaskRuntime, reason: string): void {
    if (task.closed || this.#stopping !== undefined) return
    this.#deps.log.warn({ task: task.id }, `Task ${task.id} is opened again: ${reason}.`)
    this.#lose(task.id, reason)
    this.#purge()
    void this.#openAll([this.#add(task, task.assigned)], this.#deps.clock.monotonic())
  }

  /** No task is taken any more; `finishing` is the worker's last drain and commit. */
  stop(finishing: Promise<void>): void {
    this.#stopping = finishing
    this.#want([], [])
  }

  /** Closes all tasks, after `stop`. */
  async close(): Promise<void> {
    for (const id of [...this.#tasks.keys()]) this.#lose(id, 'the worker stops')
    this.#purge()
    await this.#deps.standbys.close()
    await Promise.all(this.#closing)
  }

  /**
   * A static member that comes back gets what was given to the one before it, and the others still have that one's web
   * address. When that does not fit any more the group is asked for a rebalance, in which no task moves for its sake.
   */
  #refresh(): void {
    const { instanceId, stamp, consumer, log } = this.#deps
    if (this.#stopping !== undefined || !isOutdated(this.#group, { instanceId, stamp: stamp() })) return
    log.info(
      { instanceId },
      'This worker is back in its place with another address or other topics: the group is told in a rebalance.',
    )
    consumer.rejoin()
  }

  /** By task; one of which only some partitions change is opened anew. */
  #compare({ lost, kept, gained }: Pick<AssignmentChange, 'lost' | 'kept' | 'gained'>): {
    readonly lost: readonly string[]
    readonly gained: readonly (readonly [TaskPlace, readonly TopicPartition[]])[]
  } {
    const gone = new Set([...lost, ...gained].map((partition) => this.#placeOf(partition).id))
    const now = new Map<string, { readonly place: TaskPlace; readonly assigned: TopicPartition[] }>()
    for (const partition of [...kept, ...gained]) {
      const place = this.#placeOf(partition)
      const entry = now.get(place.id)
      if (entry === undefined) now.set(place.id, { place, assigned: [partition] })
      else entry.assigned.push(partition)
    }
    return {
      lost: [...this.#tasks.keys()].filter((id) => gone.has(id) || !now.has(id)),
      gained: [...now.values()].flatMap(({ place, assigned }) =>
        gone.has(place.id) || !this.#tasks.has(place.id) ? [[place, assigned] as const] : [],
      ),
    }
  }

  /** Without topics of the version before, which a static member may be given when it comes back with another. */
  #known(partitions: readonly TopicPartition[]): readonly TopicPartition[] {
    return partitions.filter(({ topic }) => this.#deps.topics.partitions(topic) !== undefined)
  }

  #placeOf({ topic, partition }: TopicPartition): TaskPlace {
    const partitions = this.#deps.topics.partitions(topic) ?? 0
    return { partitions, partition, id: taskId(partitions, partition) }
  }

  #add({ partitions, partition, id }: TaskPlace, assigned: readonly TopicPartition[]): TaskRuntime {
    const { guarantee, listener, settings } = this.#deps
    const maxDirtyBytes = (): number => settings.cacheBytes / 2 / Math.max(this.#tasks.size, 1)
    const task = new TaskRuntime({
      partitions,
      partition,
      assigned,
      output: guarantee.output(id),
      listener,
      maxDirtyBytes,
    })
    this.#tasks.set(id, task)
    return task
  }

  #lose(id: string, reason: string): void {
    const { committer, flow, stores, guarantee } = this.#deps
    const task = this.#tasks.get(id)
    if (task === undefined) return
    this.#tasks.delete(id)
    task.close(reason)
    committer.forget(task)
    for (const { source } of task.sources) {
      flow.remove(source)
      delete this.#sources.get(source.topic)?.[source.partition]
    }
    const closing = Promise.all([...task.states.map(({ store }) => stores.close(store)), guarantee.release(task)]).then(
      () => undefined,
      (thrown: unknown) =>
        this.#deps.log.warn({ task: id, error: toError(thrown).message }, `Task ${id} was not closed cleanly.`),
    )
    this.#closing.add(closing)
    void closing.then(() => this.#closing.delete(closing))
  }

  /** Stores of these stay open from one use to the next, until the next assignment. */
  #want(tasks: readonly Pick<TaskPlace, 'partitions' | 'partition'>[], copies: readonly CopyPlace[]): void {
    const { topics, stores, log } = this.#deps
    const ofTasks = tasks.flatMap(({ partitions, partition }) =>
      topics.partsWith(partitions).map(({ name }) => partitionKey({ topic: name, partition })),
    )
    const ofCopies = copies.map(({ part, partition }) => partitionKey({ topic: part.name, partition }))
    const closing = stores.want(new Set([...ofTasks, ...ofCopies])).catch((thrown: unknown) => {
      log.warn({ error: toError(thrown).message }, 'A store that is needed no more was not closed cleanly.')
    })
    this.#closing.add(closing)
    void closing.then(() => this.#closing.delete(closing))
  }

  #handOutAgain(): void {
    if (this.#stopping !== undefined) return
    this.#deps.drain.over()
    this.#deps.gate.unblock(BLOCKED_BY.rebalance)
  }

  #purge(): void {
    for (const subscription of this.#deps.subscriptions()) subscription.purge()
  }

  async #openAll(tasks: readonly TaskRuntime[], heardSinceMs: number): Promise<void> {
    const { guarantee, opener, onOpened } = this.#deps
    if (tasks.length > 0) {
      this.#opening += tasks.length
      try {
        await guarantee.fence(tasks, heardSinceMs)
        const known = await opener.learn(tasks.filter((task) => !task.closed))
        await Promise.all(tasks.map((task) => this.#open(task, known)))
      } catch (thrown) {
        this.#failed(tasks, thrown)
      } finally {
        this.#opening -= tasks.length
      }
    }
    if (this.#opening === 0) onOpened()
  }

  async #open(task: TaskRuntime, known: Knowledge): Promise<void> {
    const { opener, consumer, flow, stores, subscriptions, onRunning } = this.#deps
    if (task.closed) return
    try {
      const { sources, states, starts } = await opener.open(task, known)
      if (task.closed) {
        // Lost in the very turn in which it was opened: nobody else knows of its stores.
        await Promise.all(states.map(({ store }) => stores.close(store)))
        return
      }
      task.run(sources, states)
      for (const one of sources) {
        const { topic, partition } = one.source
        flow.add(one.source)
        const byPartition = this.#sources.get(topic) ?? []
        byPartition[partition] = one
        this.#sources.set(topic, byPartition)
      }
      // Before any row: so that rows without committed offsets mean that offsets were lost. And 'latest' is only now once.
      // A hole is passed at once too: it is told of once.
      const isNew = starts.some(({ origin }) => origin !== 'committed')
      if (isNew) await this.#commitFirst(task, sources)
      if (task.closed) return
      for (const { source } of sources) consumer.seek(source, source.position)
      task.handOut()
      for (const subscription of subscriptions())
        subscription.add(
          sources.flatMap(({ cursors }) => cursors.filter((cursor) => cursor.place.spec === subscription.spec)),
        )
      onRunning(task)
    } catch (thrown) {
      this.#failed([task], thrown)
    }
  }

  /** A commit may come to nothing and be no error: without a lease just now, or when its answer came too late. */
  async #commitFirst(task: TaskRuntime, sources: readonly TaskSource[]): Promise<void> {
    const { committer, clock } = this.#deps
    for (;;) {
      await committer.cut([task])
      if (task.closed || sources.every(({ source }) => source.committed !== undefined)) return
      await clock.sleep(FIRST_COMMIT_RETRY_MS, task.signal)
    }
  }

  /** A task that was lost on the way fails at any point, and nobody minds. */
  #failed(tasks: readonly TaskRuntime[], thrown: unknown): void {
    if (this.#stopping !== undefined || tasks.every((task) => task.closed)) return
    const error = toError(thrown)
    if (!isMillraceError(error, 'PRODUCER_FENCED')) return this.#deps.onBroken(error)
    for (const task of tasks) this.reopen(task, error.message)
  }
}

interface TaskPlace {
  readonly id: string
  readonly partitions: number
  readonly partition: number
}

/** Events in the hands of agents, for messages. */
export function describeInHand(tasks: Iterable<TaskRuntime>): readonly string[] {
  return [...tasks].flatMap((task) =>
    task.inHand === 0
      ? []
      : task.sources.flatMap(({ source, cursors }) =>
          cursors.flatMap(({ tracker, place }) =>
            tracker.unfinished(5).map((offset) => `${partitionKey(source)}@${offset} of agent ${place.spec.agent}`),
          ),
        ),
  )
}
