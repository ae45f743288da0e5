import type { RawHeaders, RawRecord, TopicPartition } from '@millrace/core'
import type { OwnedTask, SendReceipt } from './task.ts'

/** A record somebody wants sent: encoded, partition perhaps not decided yet. */
export interface SendRequest {
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
  readonly timestamp: number
  /** `undefined`: by the key's hash, or spread when there is no key. */
  readonly partition: number | undefined
  /**
   * Called when the broker has no such topic or partition, or not for this app: then the record alone is left out, and what
   * it belongs to goes on. Default: that fails with it.
   */
  readonly onMissing?: (error: Error) => void
}

/** A change that an event makes to a task's state; kept back until the event is finished. */
export interface Effect {
  /** The event finished: the change joins the task's state. */
  apply(): void
  /**
   * The event failed, was deferred, or its task was lost: as if the change had never been. Called in that moment, also when
   * the agent comes to the end of the event later. `event` is the one whose change it is: of a batch each has its own.
   */
  drop(event: CurrentEvent): void
  /** For what follows an event: which table's row it has changed; `undefined` when none. Asked before it ends. */
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
 * The current event, as tables and topics see it. Its effects gather here and join the task when the event finishes. Every
 * method throws `NO_CURRENT_EVENT` when the event is no longer open.
 */
export interface CurrentEvent extends TopicPartition {
  readonly task: OwnedTask
  /** Of the agent that handles it. */
  readonly agent: string
  /** Which of the agent's instances has it, from 0. */
  readonly instance: number
  /** `Codec.name` of the source topic's keys, as declared. */
  readonly keyCodec: string | undefined
  readonly offset: number
  readonly timestamp: number
  readonly record: RawRecord
  /** False when it ends together with events of other timestamps, in one batch. */
  readonly hasOneTime: boolean
  /** False once it is finished, failed or its task lost. */
  readonly open: boolean
  /** Aborts when the event's partition is lost or the worker stops hard. */
  readonly signal: AbortSignal
  /** The event with which it ends: the first of its batch after `join`, else itself. Changes by two events of one batch are no conflict. */
  readonly batchLeader: CurrentEvent
  /** Each effect once. */
  hold(effect: Effect): void
  /** The send becomes an effect of the event. Throws `RECORD_TOO_LARGE`. */
  send(request: SendRequest): SendReceipt
  /**
   * Two events need the same rows: the one that was handed out first goes on, so that two can never give way to each other
   * without end. Either `holder` is deferred, and this returns; or this event is: it throws `KEY_CONFLICT` and stays marked,
   * so that catching it hides nothing. A deferred event is handed out again after the other is done. `what` is for the
   * message: `key "milk" of table "counts"`.
   */
  resolveConflict(holder: CurrentEvent, what: string): void
  /**
   * The event has read something as of this version of its table. If that is changed before the event finishes with an
   * effect, the effect may rest on an outdated value: the event is dropped and handed out again.
   */
  noteRead(what: Readable, version: number): void
  /** It must hold what it reads as if it had written it: it has been handed out again too often because others changed that. */
  readonly holdsReads: boolean
  /**
   * Defers this event for no other event's sake: what it waits for cannot come at present. The caller throws. The event is
   * handed out again when it has ended; that does not count as an attempt.
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
 * When its task was lost, ending it drops its effects and changes nothing else.
 */
export interface HandedOutEvent extends CurrentEvent {
  /** How often it was handed out before and failed. */
  readonly attempts: number
  /**
   * Set when it had finished, and the broker then refused for good what it had sent: this attempt has failed with that
   * error before it begins. A retry is a new attempt.
   */
  readonly refused: Error | undefined
  /**
   * Set by `resolveConflict` and `defer`, of it or of another event of its batch, and while it has effects that rest on
   * something changed since it was read: finishing it hands it out again.
   */
  readonly isDeferred: boolean
  /**
   * For an event that has failed: defers it, as `defer` does, if something that it has read has been changed since. What
   * it saw did not belong together then, and the failure is not its own. False when nothing has been changed.
   */
  deferIfOutdated(): boolean
  /** What it has read of its tables, as messages show it, a few at most: for an event that has failed. */
  describeReads(): readonly string[]
  /** For what follows the event: the tables that it, and its batch, has changed so far, with the number of rows. */
  changedRows(): ReadonlyMap<string, number>
  /** Its end is waited for (by another event for its key, a bound on what is uncommitted, a rebalance, a stop): it must not wait for more events to come. */
  readonly isWanted: boolean
  /**
   * Effects join the task; the position moves on. A deferred event goes back to the queue instead: then, and when its task
   * is lost, the result is false.
   */
  finish(): boolean
  /**
   * Effects are dropped, but the event stays in flight and open: what follows (a dead letter) is its only effect. It is no
   * longer open when effects can be dropped only by opening its task again; then it is handed out with `error` as `refused`.
   */
  rollback(error?: Error): void
  /** Effects are dropped and the event is handed out again, before any other of its queue, `delayMs` from now. Counts as an attempt. */
  retry(delayMs: number): void
  /** As `retry`, at once and without counting: for batches and restarts that are not the event's fault. */
  requeue(): void
  /** From here on `other` ends with this event: finishing, rolling back or retrying it does the same to `other`, in the order joined. Both must be of one task. */
  join(other: HandedOutEvent): void
  /** The batch that it leads is handed on to its agent: its handler is at work from here on, not since it was handed out. */
  handedOn(): void
}

/** Events for one instance of an agent (or of an internal step), in order per partition. Filled by the worker. */
export interface SubscriptionQueue {
  /** The next event, or undefined when there is none now, hand-out is stopped, or the queue is closed. */
  take(): HandedOutEvent | undefined
  /** Resolves when `take` may give an event, or when the queue is closed. One call at a time. */
  ready(): Promise<void>
  /** The worker is stopping: nothing more will come. */
  readonly closed: boolean
  /**
   * Set by the reader of the queue, called by the worker when hand-out is stopped and events in flight are waited for (a
   * rebalance, a stop): events that only wait for more of them, as those of `take()` do, are put back now.
   */
  onDrain: () => void
  /** As `onDrain`, called when events in flight may have become `isWanted`: those that only wait for more of them go on now. */
  onWanted: () => void
}
