import { partitionKey, type Scheduled, toError } from '@millrace/core'
import type { Admin } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'
import type { WatermarkStats } from '../contracts/watermark-stats.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import {
  type CommittedTimes,
  finishedText,
  newestEntry,
  type StateEntry,
  stateText,
} from '../records/committed-times.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { TimeCarrier } from '../topics/time-carriers.ts'
import { CarriedTime } from './carried-time.ts'
import type { PartitionCursor } from './cursor.ts'
import type { EventOrigin } from './event-origin.ts'
import { StateTime, type StateTimeOwner } from './state-time.ts'
import type { Task } from './task.ts'
import type { TaskState } from './task-state.ts'
import type { Tasks } from './tasks.ts'
import { watermarkStats } from './watermark-stats.ts'

/** The shortest wait before idle partitions are checked again. */
const LEAST_WAIT_MS = 1000

/**
 * Event time in one task, for those of its states that keep event time. A partition is idle if its broker reports that
 * the log was read to its end, everything is finished, and nothing has arrived for `idleAfter`. A time-out alone would
 * also pass over records that only could not be fetched.
 */
export class TaskTime implements StateTimeOwner {
  origins: readonly EventOrigin[] = []
  readonly #task: Task
  readonly #environment: WorkerEnvironment
  readonly #admin: Pick<Admin, 'offsets'>
  readonly #states = new Map<StateDefinition, StateTime>()
  /** On its way into repartition topics. */
  readonly #carried: readonly CarriedTime[]
  #sending: Scheduled | undefined = undefined
  #cursors: readonly PartitionCursor[] = []
  /** When each cursor was last seen to move, and its position then. */
  readonly #still = new Map<PartitionCursor, { readonly position: number; readonly sinceMs: number }>()
  #timer: Scheduled | undefined = undefined
  /** When the timer goes off, by the monotonic clock. */
  #checkAtMs = Infinity
  #isAsking = false

  /** `carriers`: the repartition topics into which the task writes its event time. */
  private constructor(task: Task, { environment, admin }: Tasks, carriers: readonly TimeCarrier[]) {
    this.#task = task
    this.#carried = carriers.map((carrier) => new CarriedTime(this, task.id, carrier))
    this.#environment = environment
    this.#admin = admin
  }

  /** `undefined` if no state of the task keeps event time, and it writes it into no repartition topic. */
  static of(task: Task, tasks: Tasks): TaskTime | undefined {
    const carriers = tasks.topics.carriers.filter(({ tasks: upstream }) => upstream.includes(task.id))
    const isTimed = tasks.topics.statesWith(task.partitions).some(({ eventTime }) => eventTime === true)
    return isTimed || carriers.length > 0 ? new TaskTime(task, tasks, carriers) : undefined
  }

  /** Adds a state of the task that keeps event time. `known`: the times committed with its partitions. */
  open(definition: StateDefinition, known: readonly CommittedTimes[]): StateTime {
    const time = new StateTime(this, newestEntry(definition.name, known), definition.timedBy)
    this.#states.set(definition, time)
    return time
  }

  /** `cursors` are those among `origins` that read partitions. */
  attach(origins: readonly EventOrigin[], cursors: readonly PartitionCursor[]): void {
    this.origins = origins
    this.#cursors = cursors
    for (const cursor of cursors) this.#listen(cursor)
    for (const state of this.#states.values()) state.attach()
    for (const carried of this.#carried) carried.attach()
    this.alarmSet()
    // Others wait for what it says, if only that there is nothing.
    if (this.#carried.length > 0) this.#task.touch()
  }

  /** Called after a rebalance in which the task stayed here. */
  repeatWatermarks(): void {
    if (this.#carried.length === 0) return
    for (const carried of this.#carried) carried.repeat()
    this.#task.touch()
  }

  /** Called when an origin has finished more. */
  check(): void {
    let reached = false
    for (const state of this.#states.values()) if (state.check()) reached = true
    if (reached) this.alarmSet()
  }

  alarmSet(): void {
    let alarm = Infinity
    for (const state of this.#states.values()) alarm = Math.min(alarm, state.alarm)
    for (const { times } of this.#cursors) if (times !== undefined) times.alarm = alarm
    if (alarm !== Infinity || this.#carried.length > 0) this.#watchIdle()
  }

  touch(): void {
    this.#task.touch()
  }

  commitSoon(): void {
    this.#task.commitSoon()
  }

  /** The entries of a commit's metadata for the time of these cursors, which are all of one partition. */
  finishedTexts(cursors: readonly PartitionCursor[]): readonly string[] {
    return cursors.flatMap(({ subscription, times }) =>
      times === undefined ? [] : (finishedText(subscription.spec.id, times.finished) ?? []),
    )
  }

  /** The entries of a commit's metadata for the states. */
  stateEntries(states: readonly TaskState[]): readonly StateEntry[] {
    for (const { time } of this.#carried) time.prepare('')
    return states.flatMap(({ definition, open }) => {
      const time = this.#states.get(definition)
      if (time === undefined) return []
      const committed = time.prepare(open.note ?? '')
      return { text: stateText(definition.name, committed), writers: committed.writers }
    })
  }

  /** Called when the commit that was prepared last is made. */
  committed(): void {
    for (const state of this.#states.values()) state.prepared()
    for (const { time } of this.#carried) time.prepared()
    this.check()
  }

  /** Called when there was nothing to commit: the last commit has everything that is finished. */
  nothingToCommit(): void {
    for (const { time } of this.#carried) time.prepared()
  }

  /**
   * Sends how far event time has come into repartition topics, if it is time for that. In a transaction that is what its commit
   * will have; without one it is what the last commit has: what is sent cannot be taken back.
   */
  sendWatermarks(output: Pick<TaskOutput, 'add' | 'transactional'>): void {
    if (this.#carried.length === 0 || this.#task.closed) return
    const { clock } = this.#environment
    const waits = this.#carried.map((carried) => carried.send(output, clock.monotonic(), clock.now()))
    this.#sending?.cancel()
    this.#sending = clock.schedule(Math.min(...waits), () => {
      this.#sending = undefined
      this.#task.touch()
    })
  }

  /** How far event time has come in each state, and on its way into each repartition topic. */
  watermarks(): readonly WatermarkStats[] {
    const { clock, settings } = this.#environment
    const { id: task, partition } = this.#task
    const shown = { task, partition, clock, idleAfterMs: settings.idleAfterMs }
    const states = [...this.#states].map(([{ name }, time]) => ({ name, kind: 'state', time }) as const)
    const topics = this.#carried.map(({ topic, time }) => ({ name: topic, kind: 'topic', time }) as const)
    return [...states, ...topics].map((each) => watermarkStats(each, shown))
  }

  close(): void {
    this.#sending?.cancel()
    this.#sending = undefined

    this.#timer?.cancel()
    this.#timer = undefined
  }

  #listen({ times }: PartitionCursor): void {
    if (times === undefined) return
    times.onAlarm = () => this.check()
    times.onBusy = () => {
      for (const state of this.#states.values()) state.endIdle()
      for (const { time } of this.#carried) time.endIdle()
      // Whether it is at the live edge has to be seen when it rests again, not when the next time is due.
      this.alarmSet()
    }
  }

  /**
   * Schedules a check of the partitions for when they may be idle, or when the clock reaches a time for which a state
   * waits.
   */
  #watchIdle(): void {
    const { clock, settings } = this.#environment
    if (this.#isAsking || this.#task.closed || settings.idleAfterMs === Infinity) return
    const waitMs = this.#waitMs()
    const checkAtMs = clock.monotonic() + waitMs
    // A state may wait for an earlier time than before.
    if (this.#timer !== undefined && this.#checkAtMs <= checkAtMs) return
    this.#timer?.cancel()
    this.#checkAtMs = checkAtMs
    this.#timer = clock.schedule(waitMs, () => {
      this.#timer = undefined
      void this.#lookAtIdle()
    })
  }

  #waitMs(): number {
    const { clock, settings } = this.#environment
    const [now, monotonic] = [clock.now(), clock.monotonic()]
    let waitMs = Infinity
    for (const state of this.#waiting()) {
      const still = Math.max(0, ...this.#writersOf(state).map((cursor) => this.#stillUntil(cursor, monotonic)))
      // The clock moves only an idle state's watermark, so a busy state is checked again as soon as it can be idle.
      const due = state.isIdle ? state.alarm + settings.idleAfterMs - now : 0
      waitMs = Math.min(waitMs, Math.max(still, due))
    }
    return Math.max(waitMs === Infinity ? settings.idleAfterMs : waitMs, LEAST_WAIT_MS)
  }

  /** Milliseconds until a partition may be idle. */
  #stillUntil(cursor: PartitionCursor, monotonicMs: number): number {
    const { position } = cursor.source
    let still = this.#still.get(cursor)
    if (still?.position !== position) this.#still.set(cursor, (still = { position, sinceMs: monotonicMs }))
    return still.sinceMs + this.#environment.settings.idleAfterMs - monotonicMs
  }

  #writersOf({ origins }: StateTime): readonly PartitionCursor[] {
    return this.#cursors.filter((cursor) => origins.includes(cursor))
  }

  #waiting(): readonly StateTime[] {
    const carried = this.#carried.map(({ time }) => time)
    return [...[...this.#states.values()].filter(({ alarm }) => alarm !== Infinity), ...carried]
  }

  async #lookAtIdle(): Promise<void> {
    const { clock, settings, log } = this.#environment
    if (this.#task.closed) return
    const monotonic = clock.monotonic()
    const asked = [...new Set(this.#waiting().flatMap((state) => this.#writersOf(state)))].filter(
      (cursor) => cursor.isAtEnd && this.#stillUntil(cursor, monotonic) <= 0,
    )
    this.#isAsking = true
    try {
      const found =
        asked.length === 0
          ? []
          : await this.#admin.offsets(
              asked.map(({ source }) => source),
              settings.isolation,
            )
      const ends = new Map(found.map((one) => [partitionKey(one), one.end]))
      for (const cursor of asked)
        if (cursor.times !== undefined)
          cursor.times.idle =
            cursor.isAtEnd && (ends.get(partitionKey(cursor.source)) ?? Infinity) <= cursor.source.position
      for (const state of this.#waiting()) state.follow(clock.now(), settings.idleAfterMs)
    } catch (thrown) {
      // Debug only: if the broker is gone for a while, other parts of the transport report it.
      log.debug(
        { error: toError(thrown).message },
        'The broker did not report the ends of partitions that may be idle.',
      )
    } finally {
      this.#isAsking = false
    }
    if (this.#task.closed) return
    this.check()
    this.alarmSet()
    if (this.#carried.length > 0) this.#task.touch()
  }
}
