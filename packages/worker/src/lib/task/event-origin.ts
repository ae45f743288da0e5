import type { RawRecord } from '@millrace/core'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { OwnedTask } from '../contracts/task.ts'
import type { SubscriptionSpec } from '../contracts/worker-context.ts'
import type { HandOut } from '../environment/hand-out.ts'
import type { WorkerSettings } from '../environment/worker-environment.ts'
import type { AckTracker } from '../records/positions.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { ReadLog } from './read-log.ts'
import type { SubscriptionCounters } from './subscription-counters.ts'

/** The task, as the origins of its events and its events in flight see it. */
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

/** What an agent, or a step of one, reads, as the origins of its events see it. */
export interface OriginReader {
  readonly spec: SubscriptionSpec
  readonly counters: SubscriptionCounters
  /** Why events of this origin wait that nothing in `blocked` holds back: `busy` and `key` of `NOT_NOW`. */
  waiting(origin: EventOrigin): number
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
export type Refusals = ReadonlyMap<number, Refusal>

/** An event with effects or sends, as far as its origin knows it. */
export interface TrackedEvent {
  /** Its task is lost. */
  lose(): void
}

/** The settings that bound what is handed out of an origin, and what an event may send. */
export type OriginLimits = Pick<
  WorkerSettings,
  'maxUncommitted' | 'maxUncommittedBytes' | 'maxRecordBytes' | 'maxEventBytes'
>

/**
 * Where events in flight come from, for one subscription in one task: a source partition (`PartitionCursor`), or what a
 * state has due (`DueEvents`). Dispatchers take records from it, and its events come back to it when they have ended.
 */
export interface EventOrigin {
  readonly task: OwningTask
  readonly subscription: OriginReader
  readonly counters: SubscriptionCounters
  readonly limits: OriginLimits
  /** Name of the topic or state, for messages, dead letters and statistics. */
  readonly topic: string
  readonly partition: number
  /** `Codec.name` of the keys, as declared. */
  readonly keyCodec: string | undefined
  /** Failures of events from before the task was opened again; `undefined` when there are none. */
  readonly refusals: Refusals | undefined
  /** Numbers the events that were handed out, and keeps those with effects. */
  readonly tracker: AckTracker<TrackedEvent>
  /** Reasons of `NOT_NOW` for which no record is taken here; together with those of its task and of the worker. */
  readonly blocked: number
  /** Whether there are records that were not taken. */
  readonly hasMore: boolean
  /** The bound on what is uncommitted is reached, and no commit makes room before events in flight have finished. */
  readonly waitsForEvents: boolean
  /** No new record is taken while an earlier event has to be handed out again first. */
  defer(on: boolean): void
  /** Brings `blocked` up to date and returns it; called before each chunk of events. */
  refresh(): number
  /** The next record to hand out; `undefined` when there is none now. */
  next(): RawRecord | undefined
  /** The event of this number in `tracker` has finished. */
  finished(number: number, record: RawRecord): void
  /** A commit covers the first `passed` events handed out. */
  committed(passed: number): void
}
