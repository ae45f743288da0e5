import type { Clock, RawRecord, RecordBatch } from '@millrace/core'
import { AGENT_HELD, NOT_NOW } from '../environment/not-now.ts'
import { EventTimes, RecordClock, type RecordClockOptions } from '../records/event-times.ts'
import type { FlowControl } from '../records/flow-control.ts'
import { AckTracker, type Progress, ResumePoint } from '../records/positions.ts'
import type { UpstreamTimes } from '../records/upstream-times.ts'
import type { SourcePartition, SourceReader } from '../records/source-partition.ts'
import type { EventOrigin, OriginLimits, OriginReader, Refusals } from './event-origin.ts'
import type { EventInFlight } from './event-in-flight.ts'
import type { Task } from './task.ts'
import type { SubscriptionCounters } from './subscription-counters.ts'

export interface CursorOptions {
  readonly task: Task
  readonly source: SourcePartition
  readonly subscription: OriginReader
  readonly keyCodec: string | undefined
  readonly flow: FlowControl
  readonly limits: OriginLimits
  /** Failures of events that are read again because their task was reopened. */
  readonly refusals: Refusals | undefined
  /** The source of record times and, if a state of the task keeps event time, its progress. */
  readonly time?: CursorTime | undefined
  /** As `TopicDeclaration.missing`. */
  readonly missing?: ((record: RawRecord) => Promise<void> | undefined) | undefined
}

export interface CursorTime extends Omit<RecordClockOptions, 'times'> {
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
  /** The time reached at the position; `undefined` if no state keeps event time. */
  readonly finished: number | undefined
}

const NO_RECORDS: readonly RawRecord[] = []

/** How far one subscription has read one source partition, and which events of it are finished. */
export class PartitionCursor implements EventOrigin, SourceReader {
  readonly task: Task
  readonly source: SourcePartition
  readonly subscription: OriginReader
  readonly counters: SubscriptionCounters
  readonly keyCodec: string | undefined
  readonly limits: OriginLimits
  readonly refusals: Refusals | undefined
  readonly tracker: AckTracker<EventInFlight>
  readonly times: EventTimes | undefined
  /** Reasons of `NOT_NOW` why no record is taken here. Reasons of the task and of the worker apply as well. */
  blocked: number
  readonly #flow: FlowControl
  readonly #clock: RecordClock | undefined
  readonly #missing: CursorOptions['missing']
  #resume: ResumePoint | undefined
  #records = NO_RECORDS
  #index = 0
  #batch: RecordBatch | undefined = undefined
  #batchIndex = 0
  #isDetached = false
  /** `tracker.passed` as of the last commit. */
  #committed = 0

  constructor(options: CursorOptions, progress: Progress) {
    const { task, source, subscription, keyCodec, flow, limits, refusals, time, missing } = options
    this.task = task
    this.source = source
    this.subscription = subscription
    this.counters = subscription.counters
    this.blocked = NOT_NOW.empty | subscription.held
    this.keyCodec = keyCodec
    this.limits = limits
    this.refusals = refusals
    this.tracker = new AckTracker(progress.position)
    this.times = time?.finished === undefined ? undefined : new EventTimes(this.tracker, time.finished, time.clock)
    this.#clock = time === undefined ? undefined : new RecordClock({ ...time, times: this.times })
    this.#flow = flow
    this.#missing = missing
    this.#resume = new ResumePoint(progress)
    source.attach(this)
  }

  /** Of a repartition topic whose watermarks count: what the tasks before it have said. */
  get upstream(): UpstreamTimes | undefined {
    const upstream = this.#clock?.upstream
    return upstream?.isUsed === true ? upstream : undefined
  }

  get topic(): string {
    return this.source.topic
  }

  get partition(): number {
    return this.source.partition
  }

  /** Index of the batch at which the cursor stands, or for which it waits. */
  get batchIndex(): number {
    return this.#batchIndex
  }

  get isDetached(): boolean {
    return this.#isDetached
  }

  /** Whether its agent is held back. */
  get isHeld(): boolean {
    return (this.blocked & AGENT_HELD) !== 0
  }

  /** Whether fetched records remain to be taken. */
  get hasMore(): boolean {
    if (this.#isDetached) return false
    if (this.#index < this.#records.length) return true
    return this.source.batch(this.#batch === undefined ? this.#batchIndex : this.#batchIndex + 1) !== undefined
  }

  /** The used share of what may be handed out without a commit; 1 is all of it. */
  get uncommittedShare(): number {
    return this.#shareOf(this.tracker.handed - this.#committed)
  }

  /** The uncommitted limit is reached, and no commit makes room until events in flight finish. */
  get waitsForEvents(): boolean {
    if ((this.blocked & NOT_NOW.uncommitted) === 0) return false
    return this.#shareOf(this.tracker.handed - this.tracker.passed) >= 1
  }

  arrived(): void {
    if (this.times !== undefined && (this.blocked & NOT_NOW.empty) !== 0 && !this.hasInFlight) this.times.moved()
    // Nobody knows when it will be handed out; until then it is no idle partition that lets watermarks pass.
    if (this.isHeld) this.times?.busy()
    if (!this.#isDetached) this.blocked &= ~NOT_NOW.empty
  }

  hold(reasons: number): void {
    this.blocked = (this.blocked & ~AGENT_HELD) | reasons
  }

  /** Lets go of the records here, so that they need not be kept until the agent goes on. */
  detach(): void {
    this.#isDetached = true
    this.#leaveBatch()
    this.blocked |= NOT_NOW.empty
    this.source.release()
  }

  /** Stands again where it has stopped reading; the source has the records from there on, or will fetch them. */
  attach(): void {
    this.#isDetached = false
    this.restarted()
  }

  restarted(): void {
    const { readTo } = this.tracker
    this.#leaveBatch()
    this.#resume = new ResumePoint({ position: readTo, finished: this.#resume?.beyond(readTo) ?? [] })
    this.#batchIndex = this.source.indexAt(readTo)
    if (this.source.batch(this.#batchIndex) === undefined) this.blocked |= NOT_NOW.empty
    else this.blocked &= ~NOT_NOW.empty
  }

  /** While true, no new record is taken, because an earlier event has to be handed out again first. */
  defer(on: boolean): void {
    if (on) this.blocked |= NOT_NOW.deferred
    else this.blocked &= ~NOT_NOW.deferred
  }

  /** Updates and returns `blocked`; called before each chunk of events. Requests a commit when limits come near. */
  refresh(): number {
    if ((this.blocked & NOT_NOW.empty) !== 0) return this.blocked
    const share = this.uncommittedShare
    if (share >= 0.5) this.task.commitSoon()
    this.#limit(share >= 1)
    return this.blocked
  }

  /** The next unfinished record, in offset order. */
  next(): RawRecord | undefined {
    for (;;) {
      const record = this.#records[this.#index]
      if (record === undefined) {
        if (!this.#nextBatch()) return undefined
        continue
      }
      this.#index++
      if (this.#resume !== undefined && this.#passOver(record)) continue
      if (this.#clock === undefined) return record
      const stamped = this.#clock.stamp(record, this.tracker.handed)
      if (stamped !== undefined) return stamped
      this.#finishOwn(record)
    }
  }

  /**
   * Whether earlier owners have finished everything from `from`, which was not read here yet, up to and excluding `to`.
   */
  hasFinished(from: number, to: number): boolean {
    return this.#resume?.covers(from, to) ?? false
  }

  finished(number: number): void {
    this.tracker.finish(number)
    if (this.times !== undefined) this.times.check()
  }

  /** Whether an event that was handed out has not finished. */
  get hasInFlight(): boolean {
    return this.tracker.passed < this.tracker.handed
  }

  /** Whether everything that was fetched is finished. */
  get isAtEnd(): boolean {
    return !this.hasMore && this.tracker.position >= this.source.position
  }

  /** The finished offsets, including those that earlier owners have finished beyond what was read here. */
  progress(): Progress {
    const { position, finished } = this.tracker.progress()
    const beyond = this.#resume?.beyond(this.tracker.readTo) ?? []
    return beyond.length === 0 ? { position, finished } : { position, finished: [...finished, ...beyond] }
  }

  /** A commit covers the first `passed` events handed out. */
  committed(passed: number): void {
    if (passed !== this.#committed) this.times?.moved()
    this.#committed = passed
    this.#limit(this.uncommittedShare >= 1)
    if (this.waitsForEvents) this.task.handOut.wanted()
  }

  #shareOf(events: number): number {
    const { maxUncommitted, maxUncommittedBytes } = this.limits
    return Math.max(events / maxUncommitted, (events * this.source.averageBytes) / maxUncommittedBytes)
  }

  /** A partition at its uncommitted limit is not fetched until a commit either. */
  #limit(isReached: boolean): void {
    if (isReached === ((this.blocked & NOT_NOW.uncommitted) !== 0)) return
    this.blocked ^= NOT_NOW.uncommitted
    this.#flow.settle(this.source)
    // Batches that only events from here could fill are handed on.
    if (this.waitsForEvents) this.task.handOut.wanted()
  }

  /** Whether an earlier owner has finished the record. */
  #passOver(record: RawRecord): boolean {
    const resume = this.#resume
    if (resume === undefined) return false
    if (resume.isPast(record.offset)) {
      this.#resume = undefined
      return false
    }
    if (!resume.isFinished(record.offset)) return false
    // An offset beyond the position must be kept as finished until the position has passed it.
    if (record.offset >= resume.position) {
      this.#clock?.stamp(record, this.tracker.handed)
      this.tracker.finish(this.tracker.hand(record.offset))
    }
    this.task.touch()
    return true
  }

  /** A record that is for nobody: finished as soon as all before it are. */
  #finishOwn(record: RawRecord): void {
    this.tracker.finish(this.tracker.hand(record.offset))
    this.times?.check()
    this.task.touch()
  }

  #leaveBatch(): void {
    this.#batch = undefined
    this.#records = NO_RECORDS
    this.#index = 0
  }

  #nextBatch(): boolean {
    if (this.#isDetached) return false
    if (this.#batch !== undefined) {
      if (this.#batch.nextOffset > this.tracker.readTo) {
        this.tracker.advance(this.#batch.nextOffset)
        this.task.touch()
      }
      this.#leaveBatch()
      this.#batchIndex++
      this.source.release()
    }
    const batch = this.source.batch(this.#batchIndex)
    if (batch === undefined) {
      this.blocked |= NOT_NOW.empty
      return false
    }
    if (this.#missing !== undefined && this.#waitsFor(batch, this.#missing)) return false
    this.#batch = batch
    this.#records = batch.records
    return true
  }

  /** Whether the batch waits for its topic's codecs. It then begins when they have what they need for all its records. */
  #waitsFor({ records }: RecordBatch, missing: (record: RawRecord) => Promise<void> | undefined): boolean {
    if ((this.blocked & NOT_NOW.codec) !== 0) return true
    let all: Set<Promise<void>> | undefined
    for (const record of records) {
      const one = missing(record)
      if (one !== undefined) (all ??= new Set()).add(one)
    }
    if (all === undefined) return false
    this.blocked |= NOT_NOW.codec
    const proceed = (): void => this.#proceed()
    // Whatever cannot be had, decoding says so for each record.
    Promise.all(all).then(proceed, proceed)
    return true
  }

  #proceed(): void {
    this.blocked &= ~NOT_NOW.codec
    if (this.task.closed) return
    this.arrived()
    this.task.handOut.wake(this.topic)
  }
}
