import { setMaxListeners } from 'node:events'
import { type Deferred, deferred, MillraceError, type TopicPartition } from '@millrace/core'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { OpenState, OwnedTask, StateDefinition } from '../contracts/task.ts'
import type { HandOut } from '../environment/hand-out.ts'
import { inWords, NOT_NOW, PASSING, type ReasonBit } from '../environment/not-now.ts'
import type { TransactionTask } from '../sending/exactly-once.ts'
import type { Outgoing } from '../sending/outgoing.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { AssignedTask, FormerTask } from './assigned-task.ts'
import { Committable } from './committable.ts'
import type { DueEvents } from './due-events.ts'
import type { EventOrigin } from './event-origin.ts'
import { ReadLog } from './read-log.ts'
import type { TaskSource } from './source-offset.ts'
import type { TaskCommit } from './task-commit.ts'
import type { TaskState } from './task-state.ts'
import { TaskTime } from './task-time.ts'
import { TimeOrder } from './time-order.ts'
import type { Tasks } from './tasks.ts'

/**
 * Task (n, p): partition p of all topics and tables that have number n, from its assignment to this worker until its
 * loss. It owns its source partitions with their positions and events in flight, its states, and its output. `openTask`
 * opens it, the `Committer` commits it, and `close` ends all of it.
 */
export class Task implements OwnedTask, TransactionTask {
  readonly id: string
  readonly partitions: number
  readonly partition: number
  /** Its source partitions, as assigned. */
  readonly assigned: readonly TopicPartition[]
  readonly output: TaskOutput
  readonly handOut: HandOut
  /** What its events in flight have read of the task's tables. */
  readonly reads: ReadLog = new ReadLog()
  readonly committable: Committable = new Committable()
  /** Present if the task keeps event time, for a state or for a repartition topic. */
  readonly time: TaskTime | undefined
  /**
   * Log ends that were found before a position. Without them a log that has grown past the position since would hide
   * that it has other records now.
   */
  readonly foundEnds: ReadonlyMap<string, number>
  /** Reasons of `NOT_NOW`; read before each event. */
  blocked: number = NOT_NOW.opening
  readonly #tasks: Tasks
  readonly #abort = new AbortController()
  readonly #states = new Map<StateDefinition, TaskState>()
  readonly #orders = new Map<string, TimeOrder>()
  #sources: readonly TaskSource[] = []
  #origins: readonly EventOrigin[] = []
  #inFlight = 0
  #delays = 0
  #idle: Deferred<void> | undefined = undefined
  #touched = false

  constructor(
    tasks: Tasks,
    { id, partitions, partition, assigned }: AssignedTask,
    { foundEnds = new Map(), failures = 0 }: FormerTask = {},
  ) {
    this.id = id
    this.partitions = partitions
    this.partition = partition
    this.assigned = assigned
    this.foundEnds = foundEnds
    this.handOut = tasks.handOut
    this.#tasks = tasks
    // Without a limit of listeners, because each event in flight may add one.
    setMaxListeners(0, this.#abort.signal)
    this.output = tasks.outputOf(this, failures)
    this.time = TaskTime.of(this, tasks)
  }

  /** Whether the task is lost. Nothing that it does counts any more. */
  get closed(): boolean {
    return (this.blocked & NOT_NOW.closed) !== 0
  }

  /** Aborts when the task is lost. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Whether the task is recovered, so that it can be committed. */
  get running(): boolean {
    return this.#sources.length > 0 && !this.closed
  }

  get sources(): readonly TaskSource[] {
    return this.#sources
  }

  /** What its events come from: its partitions, and states that have something due. */
  get origins(): readonly EventOrigin[] {
    return this.#origins
  }

  get states(): readonly TaskState[] {
    return [...this.#states.values()]
  }

  /** How many events agents work on. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Bytes of changed rows that no commit has taken yet. */
  get dirtyBytes(): number {
    return this.states.reduce((sum, { open }) => sum + open.dirtyBytes, 0)
  }

  /** The order of a group of subscriptions. */
  orderOf(group: string): TimeOrder {
    let order = this.#orders.get(group)
    if (order === undefined)
      this.#orders.set(group, (order = new TimeOrder(this, this.#tasks.environment, this.#tasks.admin)))
    return order
  }

  /** The broker is being asked for what decides which event goes out next. */
  get isAligning(): boolean {
    return [...this.#orders.values()].some(({ isAsking }) => isAsking)
  }

  open(definition: StateDefinition): OpenState | undefined {
    return this.#states.get(definition)?.open
  }

  recovered(sources: readonly TaskSource[], states: readonly TaskState[], due: readonly DueEvents[] = []): void {
    this.#sources = sources
    const cursors = sources.flatMap((source) => source.cursors)
    this.#origins = [...cursors, ...due]
    for (const state of states) this.#states.set(state.definition, state)
    for (const { source } of sources) this.#tasks.flow.add(source)
    this.time?.attach(this.#origins, cursors)
  }

  /** Starts fetching its partitions at their positions, and the hand-out of its events. */
  begin(): void {
    for (const { source } of this.#sources) this.#tasks.consumer.seek(source, source.position)
    this.blocked &= ~NOT_NOW.opening
  }

  /** Why no event of a partition is handed out to a subscription just now, as bits of `NOT_NOW`. */
  whyNotAsBits({ topic, partition }: TopicPartition, subscription: string): number {
    const found = this.#sources.find(({ source }) => source.topic === topic && source.partition === partition)
    const cursor = found?.cursors.find(({ subscription: { spec } }) => spec.id === subscription)
    const blocked = this.handOut.blocked | this.blocked | (cursor?.blocked ?? 0)
    return cursor === undefined || (blocked & ~PASSING) !== 0 ? blocked : blocked | cursor.subscription.waiting(cursor)
  }

  /** The same in words; `undefined` if the next record would be handed out on arrival. */
  whyNot(partition: TopicPartition, subscription: string): string | undefined {
    return inWords(this.whyNotAsBits(partition, subscription))
  }

  /** Called when an event has been handed out. */
  entered(): void {
    this.#inFlight++
  }

  /** Called when an event is no longer in flight. */
  left(): void {
    this.#inFlight--
    if (this.#inFlight === 0 && this.#idle !== undefined) this.#becomeIdle()
    if (!this.#touched) this.touch()
  }

  /** Resolves when no event is in flight, or when the task is lost. */
  async whenIdle(): Promise<void> {
    if (this.#inFlight > 0 && !this.closed) await (this.#idle ??= deferred<void>()).promise
  }

  /** Describes events in flight, of all agents or of one, for messages. */
  describeInFlight(agent?: string): readonly string[] {
    if (this.#inFlight === 0) return []
    return this.#origins.flatMap(({ topic, partition, tracker, subscription: { spec } }) =>
      agent === undefined || agent === spec.agent
        ? tracker.unfinished(5).map((offset) => `${topic}/${partition}@${offset} of agent ${spec.agent}`)
        : [],
    )
  }

  /** Notes that the next commit has something to write. */
  touch(): void {
    if (this.#touched || this.closed) return
    this.#touched = true
    this.#tasks.touched(this)
  }

  /** While true, a commit waits for an event in flight, and no new ones are handed out. */
  holdForCommit(on: boolean): void {
    this.#hold(NOT_NOW.spilled, on)
    if (on) this.handOut.wanted()
  }

  /** While true, sends of its finished events that wait for a commit are at their bound. */
  holdForSends(on: boolean): void {
    this.#hold(NOT_NOW.collector, on)
  }

  #hold(reason: ReasonBit, on: boolean): void {
    const before = this.blocked
    this.blocked = on ? before | reason : before & ~reason
    if (!on && !this.closed && this.blocked !== before) this.handOut.wake()
  }

  /** Called when a commit takes what is finished: what finishes from now on is for the next one. */
  prepared(): void {
    this.#touched = false
  }

  /** Called if the commit was given up, or could not be prepared: the next one has everything that was in it. */
  notCommitted(commit?: TaskCommit): void {
    if (this.closed) return
    for (const { state } of commit?.states ?? []) state.open.rowsReturned()
    this.#touched = false
    this.touch()
  }

  delayed(): void {
    this.#delays++
    this.blocked |= NOT_NOW.delayed
  }

  delayOver(): void {
    this.#delays--
    if (this.#delays === 0) this.blocked &= ~NOT_NOW.delayed
  }

  /** Called when sends of an event in flight go out before it has finished. */
  spillBegan(): void {
    if (this.output.transactional) this.committable.spillBegan()
  }

  /**
   * Called when such an event, or another one of its batch, has failed: permanently with this error, or to be retried.
   * Without a transaction the sends stay out. A transaction is aborted, with everything else in it.
   */
  spillFailed(event: HandedOutEvent, error: Error | undefined): void {
    if (this.output.transactional) this.#tasks.eventFailed(event, error)
  }

  /** Called when such an event is over. Its sends stay out even if it has not finished. */
  spillEnded(finished: boolean): void {
    if (!this.output.transactional) return
    this.committable.spillEnded()
    if (!finished) this.reopen('an event that had sent more than maxEventBytes has failed')
  }

  refused(record: Outgoing, error: Error): void {
    this.#tasks.refused(record, error)
  }

  /** Requests a commit before its time. */
  commitSoon(): void {
    this.#tasks.commitSoon(this)
  }

  reopen(reason: string): void {
    if (!this.closed) this.#tasks.reopen(this.id, reason)
  }

  fail(error: Error): void {
    if (!this.closed) this.#tasks.fail(error)
  }

  /**
   * Ends the task when it is lost: its events in flight no longer count, their changes and sends are dropped, and the
   * driver stops fetching its partitions, even those that the driver keeps. Otherwise the driver would run ahead of a
   * task that is reopened. Resolves when its stores and its output are released.
   */
  async close(reason: string): Promise<void> {
    if (this.closed) return
    const { consumer, flow, stores } = this.#tasks
    const error = new MillraceError('NOT_ASSIGNED', `Task ${this.id} is no longer here: ${reason}.`)
    this.blocked |= NOT_NOW.closed
    this.time?.close()
    for (const { tracker } of this.#origins) for (const event of tracker.kept()) event.lose()
    this.#abort.abort(error)
    this.output.abandon(error)
    for (const { open } of this.#states.values()) open.close()
    this.#becomeIdle()
    this.committable.stopWaiting()
    consumer.stop(this.assigned)
    for (const { source } of this.#sources) flow.remove(source)
    await Promise.all([...this.states.map(({ store }) => stores.close(store)), this.output.close()])
  }

  #becomeIdle(): void {
    this.#idle?.resolve()
    this.#idle = undefined
  }
}
