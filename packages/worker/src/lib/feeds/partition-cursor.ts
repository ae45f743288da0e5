import type { EventInHand, RawRecord, RecordBatch, SubscriptionSpec, Task } from '@millrace/core'
import type { Progress } from '../commit/offset-range.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import { AckTracker } from './ack-tracker.ts'
import type { FlowControl } from './flow-control.ts'
import type { ReadLog } from './read-log.ts'
import type { PartitionRefusals } from './partition-refusals.ts'
import { ResumePoint } from './resume-point.ts'
import type { SourcePartition, SourceReader } from './source-partition.ts'
import type { SubscriptionCounters } from './subscription-counters.ts'

/** The task, as hand-out and events see it. */
export interface HandingTask extends Task {
  /** Nothing of it is handed out just now. */
  readonly held: boolean
  /** Nothing new of it is taken from the buffers. */
  readonly closedToNew: boolean
  /** Lost: nothing of it counts any more. */
  readonly closed: boolean
  readonly signal: AbortSignal
  readonly output: TaskOutput
  /** What its events in hand have read of its tables. */
  readonly reads: ReadLog
  /** An event has been handed out. */
  entered(): void
  /** An event is no longer in hand. */
  left(): void
  /** There is something for the next cut. */
  touch(): void
  /** A cut is wanted before its time. */
  requestCut(): void
  /** Sends of an event in hand go out before it has finished. */
  spillBegan(): void
  /** An event that has, or another of its batch, has failed: for good with this error, or it is to be tried again. */
  spillFailed(event: EventInHand, error: Error | undefined): void
  /** That event is over: finished, or not and then its sends have gone out all the same. */
  spillEnded(finished: boolean): void
}

export interface CursorPlace {
  readonly spec: SubscriptionSpec
  readonly counters: SubscriptionCounters
  readonly task: HandingTask
  readonly source: SourcePartition
  readonly keyCodec: string | undefined
  readonly flow: FlowControl
  readonly maxUncommittedEvents: number
  readonly maxUncommittedBytes: number
  readonly maxRecordBytes: number
  readonly maxEventBytes: number
  /** Of events read again after their task was opened again. */
  readonly refusals: PartitionRefusals | undefined
}

const NO_RECORDS: readonly RawRecord[] = []

/** How far one subscription has read one source partition, and what of that it has finished. */
export class PartitionCursor implements SourceReader {
  readonly place: CursorPlace
  readonly task: HandingTask
  readonly tracker: AckTracker
  #resume: ResumePoint | undefined
  #records = NO_RECORDS
  #index = 0
  #batch: RecordBatch | undefined = undefined
  #batchIndex = 0
  /** `tracker.passed` as of the last commit. */
  #committed = 0

  constructor(place: CursorPlace, progress: Progress) {
    this.place = place
    this.task = place.task
    this.tracker = new AckTracker(progress.position)
    this.#resume = new ResumePoint(progress)
    place.source.attach(this)
  }

  /** Of the batch it stands in, or waits for. */
  get batchIndex(): number {
    return this.#batchIndex
  }

  /** Whether it is worth calling `next`. */
  get waiting(): boolean {
    return this.#batch !== undefined || this.place.source.batch(this.#batchIndex) !== undefined
  }

  /** How much of what may be handed out without a commit is used up; 1 is all of it. */
  get uncommittedShare(): number {
    const { maxUncommittedEvents, maxUncommittedBytes, source } = this.place
    const events = this.tracker.handed - this.#committed
    return Math.max(events / maxUncommittedEvents, (events * source.averageBytes) / maxUncommittedBytes)
  }

  /** Whether `next` may be called now. A partition of which too much is uncommitted is not fetched until a commit. */
  mayGoOn(): boolean {
    if (this.task.closedToNew || !this.waiting) return false
    if (this.uncommittedShare < 1) return true
    this.place.flow.setOverdrawn(this.place.source, true)
    return false
  }

  /** Called once per chunk: as `mayGoOn`, and asks for an early cut when limits come near. */
  admit(): boolean {
    if (!this.task.closedToNew && this.waiting && this.uncommittedShare >= 0.5) this.task.requestCut()
    return this.mayGoOn()
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
    return this.place.refusals?.get(offset)?.attempts ?? 0
  }

  /** Why the attempt of this number has failed before it begins. */
  refusalOf(offset: number, attempts: number): Error | undefined {
    const refusal = this.place.refusals?.get(offset)
    return refusal?.attempts === attempts ? refusal.error : undefined
  }

  /** What is finished, by earlier owners too: beyond what has been read by now as well. */
  progress(): Progress {
    const { position, finished } = this.tracker.progress()
    const beyond = this.#resume?.beyond(this.tracker.readTo) ?? []
    return beyond.length === 0 ? { position, finished } : { position, finished: [...finished, ...beyond] }
  }

  /** A commit covers the first `passed` events handed out. */
  committed(passed: number): void {
    this.#committed = passed
    if (this.uncommittedShare < 1) this.place.flow.setOverdrawn(this.place.source, false)
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
    // Beyond the position it must stay known as finished until the position has come by.
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
      this.place.source.release()
    }
    this.#batch = this.place.source.batch(this.#batchIndex)
    if (this.#batch === undefined) return false
    this.#records = this.#batch.records
    return true
  }
}
