import type { RawRecord } from '@millrace/core'
import type { SubscriptionSpec } from '../contracts/worker-context.ts'
import type { WorkerSettings } from '../environment/worker-environment.ts'
import type { OriginTimes } from '../records/event-times.ts'
import type { AckTracker } from '../records/positions.ts'
import type { EventInFlight } from './event-in-flight.ts'
import type { SubscriptionCounters } from './subscription-counters.ts'
import type { Task } from './task.ts'

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
  readonly task: Task
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
  readonly tracker: AckTracker<EventInFlight>
  /** How far event time has come in it; `undefined` where nothing of the task keeps to event time. */
  readonly times: OriginTimes | undefined
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
