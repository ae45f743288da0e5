import type { RawRecord, RecordBatch } from '@millrace/core'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { OwnedTask } from '../contracts/task.ts'
import type { SubscriptionSpec } from '../contracts/worker-context.ts'
import type { HandOut } from '../environment/hand-out.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import type { WorkerSettings } from '../environment/worker-environment.ts'
import type { FlowControl } from '../records/flow-control.ts'
import { AckTracker, type Progress, ResumePoint } from '../records/positions.ts'
import type { SourcePartition, SourceReader } from '../records/source-partition.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { ReadLog } from './read-log.ts'
import type { SubscriptionCounters } from './subscription-counters.ts'

/** The task, as its cursors and its events in flight see it. */
export interface OwningTask extends OwnedTask {
  readonly handOut: HandOut
  /** Reasons of `NOT_NOW` for which none of its records is taken. */
  readonly blocked: number
  /** Lost: nothing of it counts any more. */
  readonly closed: boolean
  readonly signal: AbortSignal
  /** What its events in flight have read of its tables. */
  readonly reads: ReadLog
  /** Where sends of its events go out. */
  readonly output: Pick<TaskOutput, 'add'>
  /** An event has been handed out. */
  entered(): void
  /** An event is no longer in flight. */
  left(): void
  /** There is something for the next commit. */
  touch(): void
  /** A commit is wanted before its time. */
  commitSoon(): void
  /** Sends of an event in flight go out before it has finished. */
  spillBegan(): void
  /** An event that has, or another of its batch, has failed: for good with this error, or it is to be tried again. */
  spillFailed(event: HandedOutEvent, error: Error | undefined): void
  /** That event is over: finished, or not and then its sends have gone out all the same. */
  spillEnded(finished: boolean): void
}

/** What an agent, or a step of one, reads, as its cursors see it. */
export interface CursorOwner {
  readonly spec: SubscriptionSpec
  readonly counters: SubscriptionCounters
  /** Why events of this partition wait that nothing in `blocked` holds back: `busy` and `key` of `NOT_NOW`. */
  waiting(cursor: PartitionCursor): number
  /** Records of these are handed out from now on. */
  add(cursors: readonly PartitionCursor[]): void
}

/**
 * What is known of an event before it is handed out: what it had sent was refused by the broker for good, its task was
 * opened again because it had failed, or it may have blocked the event loop.
 */
export interface Refusal {
  /** How often the event had failed before. */
  readonly attempts: number
  /** Why the attempt of this number has failed already; `undefined` when it is still to be made. */
  readonly error: Error | undefined
  /** It may be what has blocked the event loop of a worker. */
  readonly mayBlock?: boolean
}

/** By offset. */
export type PartitionRefusals = ReadonlyMap<number, Refusal>

/** An event with effects or sends, as far as its cursor knows it. */
export interface TrackedEvent {
  /** Its task is lost. */
  lose(): void
}

/** The settings that bound what is handed out of a partition, and what an event may send. */
export type CursorLimits = Pick<
  WorkerSettings,
  'maxUncommitted' | 'maxUncommittedBytes' | 'maxRecordBytes' | 'maxEventBytes'
>

export interface CursorOptions {
  readonly task: OwningTask
  readonly source: SourcePartition
  readonly subscription: CursorOwner
  readonly keyCodec: string | undefined
  readonly flow: FlowControl
  readonly limits: CursorLimits
  /** Refusals of events that are read again because their task was opened again. */
  readonly refusals: PartitionRefusals | undefined
}

const NO_RECORDS: readonly RawRecord[] = []

/** How far one subscription has read one source partition, and what of that it has finished. */
export class PartitionCursor implements SourceReader {
  readonly task: OwningTask
  readonly source: SourcePartition
  readonly subscription: CursorOwner
  readonly counters: SubscriptionCounters
  readonly keyCodec: string | undefined
  readonly limits: CursorLimits
  readonly refusals: PartitionRefusals | undefined
  readonly tracker: AckTracker<TrackedEvent>
  /** Reasons of `NOT_NOW` for which no record is taken here; together with those of its task and of the worker. */
  blocked: number = NOT_NOW.empty
  readonly #flow: FlowControl
  #resume: ResumePoint | undefined
  #records = NO_RECORDS
  #index = 0
  #batch: RecordBatch | undefined = undefined
  #batchIndex = 0
  /** `tracker.passed` as of the last commit. */
  #committed = 0

  constructor({ task, source, subscription, keyCodec, flow, limits, refusals }: CursorOptions, progress: Progress) {
    this.task = task
    this.source = source
    this.subscription = subscription
    this.counters = subscription.counters
    this.keyCodec = keyCodec
    this.limits = limits
    this.refusals = refusals
    this.tracker = new AckTracker(progress.position)
    this.#flow = flow
    this.#resume = new ResumePoint(progress)
    source.attach(this)
  }

  /** Index of the batch that it stands in, or waits for. */
  get batchIndex(): number {
    return this.#batchIndex
  }

  /** Whether there are records that were fetched and not taken. */
  get hasFetched(): boolean {
    if (this.#index < this.#records.length) return true
    return this.source.batch(this.#batch === undefined ? this.#batchIndex : this.#batchIndex + 1) !== undefined
  }

  /** How much of what may be handed out without a commit is used up; 1 is all of it. */
  get uncommittedShare(): number {
    return this.#shareOf(this.tracker.handed - this.#committed)
  }

  /** The bound on what is uncommitted is reached, and no commit makes room before events in flight have finished. */
  get waitsForEvents(): boolean {
    if ((this.blocked & NOT_NOW.uncommitted) === 0) return false
    return this.#shareOf(this.tracker.handed - this.tracker.passed) >= 1
  }

  arrived(): void {
    this.blocked &= ~NOT_NOW.empty
  }

  /** No new record is taken while an earlier event has to be handed out again first. */
  defer(on: boolean): void {
    if (on) this.blocked |= NOT_NOW.deferred
    else this.blocked &= ~NOT_NOW.deferred
  }

  /** Brings `blocked` up to date and gives it, before each chunk of events. Asks for a commit when limits come near. */
  refresh(): number {
    if ((this.blocked & NOT_NOW.empty) !== 0) return this.blocked
    const share = this.uncommittedShare
    if (share >= 0.5) this.task.commitSoon()
    this.#limit(share >= 1)
    return this.blocked
  }

  /** The next record that is not finished yet, in offset order. */
  next(): RawRecord | undefined {
    for (;;) {
      const record = this.#records[this.#index]
      if (record === undefined) {
        if (!this.#nextBatch()) return undefined
        continue
      }
      this.#index++
      if (this.#resume === undefined || !this.#passOver(record)) return record
    }
  }

  /** Whether earlier owners have finished all from `from`, which reading has not come to yet, to before `to`. */
  hasFinished(from: number, to: number): boolean {
    return this.#resume?.covers(from, to) ?? false
  }

  /** How often an event that is handed out for the first time since its task was opened has failed already. */
  attemptsAt(offset: number): number {
    return this.refusals?.get(offset)?.attempts ?? 0
  }

  /** Why the attempt of this number has failed before it begins. */
  refusalOf(offset: number, attempts: number): Error | undefined {
    const refusal = this.refusals?.get(offset)
    return refusal?.attempts === attempts ? refusal.error : undefined
  }

  /** What is finished, including what earlier owners have finished beyond the offsets that were read here. */
  progress(): Progress {
    const { position, finished } = this.tracker.progress()
    const beyond = this.#resume?.beyond(this.tracker.readTo) ?? []
    return beyond.length === 0 ? { position, finished } : { position, finished: [...finished, ...beyond] }
  }

  /** A commit covers the first `passed` events handed out. */
  committed(passed: number): void {
    this.#committed = passed
    this.#limit(this.uncommittedShare >= 1)
    if (this.waitsForEvents) this.task.handOut.wanted()
  }

  #shareOf(events: number): number {
    const { maxUncommitted, maxUncommittedBytes } = this.limits
    return Math.max(events / maxUncommitted, (events * this.source.averageBytes) / maxUncommittedBytes)
  }

  /** A partition of which too much is uncommitted is not fetched either until a commit. */
  #limit(isReached: boolean): void {
    if (isReached === ((this.blocked & NOT_NOW.uncommitted) !== 0)) return
    this.blocked ^= NOT_NOW.uncommitted
    this.#flow.settle(this.source)
    // Batches that would only fill with events from here are handed on.
    if (this.waitsForEvents) this.task.handOut.wanted()
  }

  /** Whether an earlier owner has finished it. */
  #passOver(record: RawRecord): boolean {
    const resume = this.#resume
    if (resume === undefined) return false
    if (resume.isPast(record.offset)) {
      this.#resume = undefined
      return false
    }
    if (!resume.isFinished(record.offset)) return false
    // An offset beyond the position must stay known as finished until the position has passed it.
    if (record.offset >= resume.position) this.tracker.finish(this.tracker.hand(record.offset))
    this.task.touch()
    return true
  }

  #nextBatch(): boolean {
    if (this.#batch !== undefined) {
      if (this.#batch.nextOffset > this.tracker.readTo) {
        this.tracker.advance(this.#batch.nextOffset)
        this.task.touch()
      }
      this.#batch = undefined
      this.#records = NO_RECORDS
      this.#index = 0
      this.#batchIndex++
      this.source.release()
    }
    this.#batch = this.source.batch(this.#batchIndex)
    if (this.#batch === undefined) {
      this.blocked |= NOT_NOW.empty
      return false
    }
    this.#records = this.#batch.records
    return true
  }
}
