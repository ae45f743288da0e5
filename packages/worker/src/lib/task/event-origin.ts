import type { RawRecord } from '@millrace/core'
import type { SubscriptionSpec } from '../contracts/worker-context.ts'
import type { WorkerSettings } from '../environment/worker-environment.ts'
import type { OriginTimes } from '../records/event-times.ts'
import type { AckTracker } from '../records/positions.ts'
import type { EventInFlight } from './event-in-flight.ts'
import type { SubscriptionCounters } from './subscription-counters.ts'
import type { Task } from './task.ts'

/** A reader (an agent, or a step of one), as the origins of its events see it. */
export interface OriginReader {
  readonly spec: SubscriptionSpec
  readonly counters: SubscriptionCounters
  /** Reasons of the agent, in `AGENT_HELD`, why nothing is handed out to it; new origins begin with them. */
  readonly held: number
  /** Why events of this origin wait although `blocked` is 0: `busy` and `key` of `NOT_NOW`. */
  waiting(origin: EventOrigin): number
}

/**
 * A known failure of an event about to be redelivered. Its sends were refused by the broker permanently, or its task
 * was reopened because it failed, or it may have blocked the event loop.
 */
export interface Refusal {
  /** How often the event had failed before. */
  readonly attempts: number
  /** The error with which the current attempt has failed already; `undefined` if the attempt is still to be made. */
  readonly error: Error | undefined
  /** The event may have blocked the event loop of a worker. */
  readonly mayBlock?: boolean
}

/** Known failures by offset. */
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
  /** Failures of events from before the task was reopened; `undefined` if there are none. */
  readonly refusals: Refusals | undefined
  /** Numbers the events that were handed out, and keeps those that have effects. */
  readonly tracker: AckTracker<EventInFlight>
  /** How far event time has come in this origin; `undefined` if no state of the task keeps event time. */
  readonly times: OriginTimes | undefined
  /** Reasons of `NOT_NOW` why no record is taken here. Reasons of the task and of the worker apply as well. */
  readonly blocked: number
  /** Whether records remain to be taken. */
  readonly hasMore: boolean
  /** The uncommitted limit is reached, and no commit makes room until events in flight finish. */
  readonly waitsForEvents: boolean
  /** While true, no new record is taken, because an earlier event has to be handed out again first. */
  defer(on: boolean): void
  /** The agent is held back for these reasons, of `AGENT_HELD`, and no others. */
  hold(reasons: number): void
  /** Updates and returns `blocked`; called before each chunk of events. */
  refresh(): number
  /** The next record to hand out; `undefined` if none is available. */
  next(): RawRecord | undefined
  /** The event of this number in `tracker` has finished. */
  finished(number: number, record: RawRecord): void
  /** A commit covers the first `passed` events handed out. */
  committed(passed: number): void
}
