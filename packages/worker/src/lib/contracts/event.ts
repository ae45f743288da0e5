import type { RawHeaders, RawRecord, TopicPartition } from '@millrace/core'
import type { OwnedTask, SendReceipt } from './task.ts'

/** A record to send: encoded, perhaps without a partition. */
export interface SendRequest {
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
  readonly timestamp: number
  /** `undefined` chooses the partition by the hash of the key, or spreads records without a key. */
  readonly partition: number | undefined
  /**
   * Called if the broker has no such topic or partition, or denies it to this app: only the record is left out then.
   * Default: what it belongs to fails with it.
   */
  readonly onMissing?: (error: Error) => void
}

/** A change that an event makes to a task's state. It is held back until the event is finished. */
export interface Effect {
  /** The event has finished: the change joins the task's state. */
  apply(): void
  /**
   * The event failed, was deferred, or its task was lost: the change must leave no trace. Called at that moment, even
   * if the agent ends the event later. `event` is the one that made the change: in a batch each event has its own.
   */
  drop(event: CurrentEvent): void
  /** The name of the table whose row was changed; `undefined` if none was. Read before the effect ends, for tracing. */
  readonly changes?: string | undefined
}

/** Something that events read and others change: a row, or a range of rows. */
export interface Readable {
  /** Whether a finished event has changed it after this version of its table. */
  changedSince(version: number): boolean
  /** For messages: `key "milk" of table "counts"`. */
  show(): string
}

/**
 * The current event, as tables and topics see it. Its effects gather here and join the task when the event finishes.
 * Every method throws `NO_CURRENT_EVENT` when the event is no longer open.
 */
export interface CurrentEvent extends TopicPartition {
  readonly task: OwnedTask
  /** The name of the agent that handles the event. */
  readonly agent: string
  /** Index of the agent's instance that has the event, from 0. */
  readonly instance: number
  /** `Codec.name` of the source topic's keys, as declared. */
  readonly keyCodec: string | undefined
  readonly offset: number
  readonly timestamp: number
  readonly record: RawRecord
  /** False if the event ends in a batch with events of other timestamps. */
  readonly hasOneTime: boolean
  /** False once the event has finished or failed, or its task is lost. */
  readonly open: boolean
  /** Aborts when the event's partition is lost or the worker stops hard. */
  readonly signal: AbortSignal
  /**
   * The event with which this one ends: the first of its batch after `join`, otherwise itself. Changes by two events of
   * one batch do not conflict.
   */
  readonly batchLeader: CurrentEvent
  /** Adds an effect to the event; adding it again has no effect. */
  hold(effect: Effect): void
  /** The send becomes an effect of the event. Throws `RECORD_TOO_LARGE`. */
  send(request: SendRequest): SendReceipt
  /** Takes a send of this event back. Returns false when it has gone out already: the event has sent more than it may hold. */
  withdraw(sent: SendReceipt): boolean
  /**
   * Resolves a conflict between two events that need the same rows. The event that was handed out first continues, so
   * that two events can never defer to each other without end. Either `holder` is deferred, and this method returns; or
   * this event is deferred: the method throws `KEY_CONFLICT`, and the event stays marked even if that is caught. A
   * deferred event is handed out again after the other is done. `what` is for the message: `key "milk" of table
   * "counts"`.
   */
  resolveConflict(holder: CurrentEvent, what: string): void
  /**
   * Notes that the event has read something at this version of its table. If that is changed before the event finishes
   * with an effect, the effect may rest on an outdated value: the event is then dropped and handed out again.
   */
  noteRead(what: Readable, version: number): void
  /**
   * True if the event must hold what it reads as if it had written it, because it was handed out again too often after
   * changes by others.
   */
  readonly holdsReads: boolean
  /**
   * Defers this event without another one to wait for, because what it awaits cannot arrive at present. The caller
   * throws. The event is handed out again after it has ended, without counting an attempt.
   */
  defer(): void
}

/**
 * An event as the worker gives it to an agent. Its states:
 *
 *     open ── finish ──▶ over: effects join the task
 *      │ ├─── retry, requeue ──▶ over: effects are dropped, the record is handed out again as a new event
 *      │ └─── rollback ──▶ open, without effects
 *      └─ resolveConflict, defer ──▶ deferred ── finish, retry, requeue ──▶ over: handed out again behind what it waits for
 *
 * After its task is lost, ending the event drops its effects and changes nothing else.
 */
export interface HandedOutEvent extends CurrentEvent {
  /** How often it was handed out before and failed. */
  readonly attempts: number
  /**
   * Set if the event had finished and the broker then refused its sends permanently: the current attempt has failed
   * with that error before it begins. A retry is a new attempt.
   */
  readonly refused: Error | undefined
  /**
   * Set by `resolveConflict` and `defer`, for the event or another one of its batch, and while its effects rest on
   * something that has changed since it was read. Finishing a deferred event hands it out again.
   */
  readonly isDeferred: boolean
  /**
   * For an event that has failed: defers it, as `defer` does, if something that it has read has changed since. Its
   * reads were then inconsistent, and the failure is not its own. Returns false if nothing has changed.
   */
  deferIfOutdated(): boolean
  /** A few of the rows that it has read, for messages about an event that has failed. */
  describeReads(): readonly string[]
  /** The tables that the event and its batch have changed so far, with the number of rows, for tracing. */
  changedRows(): ReadonlyMap<string, number>
  /**
   * True if something waits for its end (another event of its key, an uncommitted limit, a rebalance, a stop): it must
   * not wait for more events.
   */
  readonly isWanted: boolean
  /**
   * Finishes the event: effects join the task, and the position moves on. Returns false if the event is deferred, and
   * then goes back to the queue, or if its task is lost.
   */
  finish(): boolean
  /**
   * Drops the effects, but keeps the event in flight and open, so that what follows (a dead letter) is its only effect.
   * If the effects can be dropped only by reopening its task, the event is closed, and handed out again with `error` as
   * `refused`.
   */
  rollback(error?: Error): void
  /**
   * Drops the effects and hands the event out again after `delayMs`, before any other of its queue. Counts as an
   * attempt.
   */
  retry(delayMs: number): void
  /** Like `retry`, but at once and without counting, for batches and restarts that are not the event's fault. */
  requeue(): void
  /**
   * From here on `other` ends with this event: finishing, rolling back or retrying this one does the same to `other`,
   * in the order joined. Both must be of one task.
   */
  join(other: HandedOutEvent): void
  /** Notes that the batch it leads goes to its agent now: handling begins here, not at hand-out. */
  handedOn(): void
}

/** Events for one instance of an agent (or of an internal step), in order per partition. Filled by the worker. */
export interface SubscriptionQueue {
  /** The next event; `undefined` if none is available, hand-out is stopped, or the queue is closed. */
  take(): HandedOutEvent | undefined
  /** Resolves when `take` may return an event, or when the queue is closed. Must not be called again before that. */
  ready(): Promise<void>
  /** True when the worker is stopping, and no more events come. */
  readonly closed: boolean
  /**
   * Set by the reader of the queue. The worker calls it when hand-out has stopped for a rebalance or a stop and events
   * in flight must finish: events that only wait for more events, as those of `take()` do, are put back now.
   */
  onDrain: () => void
  /**
   * Like `onDrain`, but called when events in flight may have become `isWanted`: events that only wait for more of them
   * go out now.
   */
  onWanted: () => void
}
