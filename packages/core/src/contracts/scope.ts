import type { RawHeaders, RawRecord, TopicPartition } from './record.ts'
import type { SendReceipt, Task } from './task.ts'

/** A record somebody wants sent: encoded, partition perhaps not decided yet. */
export interface SendRequest {
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
  readonly timestamp: number
  /** `undefined`: by the key's hash, or spread when there is no key. */
  readonly partition: number | undefined
}

/** A change that an event makes to a task's state; kept back until the event is finished. */
export interface Effect {
  /** The event finished: the change joins the task's state. */
  apply(): void
  /**
   * The event failed, was set aside, or its task was lost: as if the change had never been. An event of a lost task may
   * end after another one has taken over what it had: `event` tells whose change is dropped.
   */
  drop(event: EventScope): void
}

/** Something that events read and that others change: a row, or a range of rows. */
export interface Readable {
  /** Whether a finished event has changed it after this version of its table. */
  changedSince(version: number): boolean
  /** For messages: `key "milk" of table "counts"`. */
  show(): string
}

/**
 * The event in hand, as tables and topics see it. Its effects gather here and join the task when the event finishes.
 * Every method throws `NO_CURRENT_EVENT` when the event is no longer open.
 */
export interface EventScope extends TopicPartition {
  readonly task: Task
  /** Of the agent that has it in hand. */
  readonly agent: string
  /** `Codec.name` of the source topic's keys, as declared. */
  readonly keyCodec: string | undefined
  readonly offset: number
  readonly timestamp: number
  /** False once it is finished, failed or its task lost. */
  readonly open: boolean
  /** Aborts when the event's partition is lost or the worker stops hard. */
  readonly signal: AbortSignal
  /** The event that it ends with: the first of its batch after `join`, else itself. What two events of one fate change is no conflict. */
  readonly fate: EventScope
  /** Each effect once. */
  hold(effect: Effect): void
  /** The send becomes an effect of the event. Throws `RECORD_TOO_LARGE`. */
  send(request: SendRequest): SendReceipt
  /**
   * Two events need the same rows: the one that was handed out first goes on, so that no two can give way to each other
   * for ever. Either `holder` is given up for now, and this returns; or this one is: throws `KEY_IN_HAND` and marks the
   * scope, so that catching it hides nothing. The one given up is handed out again after the other is done. `what` is for
   * the message: `key "milk" of table "counts"`.
   */
  setAside(holder: EventScope, what: string): void
  /**
   * It has read something as of this version of its table. If that is changed before the event finishes with an effect, the
   * effect may rest on what is no longer so: the event is given up and handed out again.
   */
  noteRead(what: Readable, version: number): void
  /** What it reads is to be held as if it had written it, too: it was given up too often because others changed that. */
  readonly holdsReads: boolean
  /**
   * Gives this event up for now, as `setAside` does but for nobody's sake: what it waits for cannot come at present. The
   * caller throws. The event is handed out again when it has ended; it does not count as an attempt.
   */
  handBack(): void
}

/** An event as the worker gives it to an agent. When its task was lost, ending it drops its effects and changes nothing else. */
export interface EventInHand extends EventScope {
  readonly record: RawRecord
  /** How often it was handed out before and failed. */
  readonly attempts: number
  /**
   * Set when it had finished, and the broker then refused for good what it had sent: this attempt has failed with that
   * error before it begins. A retry is a new attempt.
   */
  readonly refused: Error | undefined
  /**
   * Set by `setAside` and `handBack`, of it or of an event of its fate, and while it has effects that rest on what has been
   * changed since it was read: finishing it hands it out again.
   */
  readonly isSetAside: boolean
  /**
   * For an event that has failed: gives it up for now, as `handBack` does, if something that it has read has been changed
   * since. What it saw did not belong together then, and the failure is not its own. False when there is no such thing.
   */
  handBackIfOutdated(): boolean
  /** What it has read of its tables, as messages show it, a few at most: for an event that has failed. */
  describeReads(): readonly string[]
  /** Somebody waits for its end (another event for its key, a rebalance, a stop): it must not wait for more events to come. */
  readonly isWanted: boolean
  /**
   * Effects join the task; the position moves on. A set-aside event goes back to the feed instead: then, and when its task is
   * lost, it gives false.
   */
  finish(): boolean
  /**
   * Effects are dropped, but the event stays in hand and open: what follows (a dead letter) is its only effect. It is no
   * longer open when effects can be dropped only by opening its task again; then it is handed out with `error` as `refused`.
   */
  rollback(error?: Error): void
  /** Effects are dropped and the event is handed out again, before any other of its feed, `delayMs` from now. Counts as an attempt. */
  retry(delayMs: number): void
  /** As `retry`, at once and without counting: for batches and restarts that are not the event's fault. */
  putBack(): void
  /** Takes over `other`'s fate: finishing, rolling back or retrying this event does the same to `other`, in the order joined. Both must be of one task. */
  join(other: EventInHand): void
}

/** Events for one instance of an agent (or of an internal step), in order per partition. Filled by the worker. */
export interface EventFeed {
  /** The next event, or undefined when there is none now, hand-out is stopped, or the feed is closed. */
  take(): EventInHand | undefined
  /** Resolves when `take` may give an event, or when the feed is closed. One call at a time. */
  ready(): Promise<void>
  /** The worker is stopping: nothing more will come. */
  readonly closed: boolean
  /**
   * Set by whoever reads the feed, called by the worker when hand-out is stopped and events in hand are waited for (a
   * rebalance, a stop): events that only wait for more of them, as `take()` gathers, are put back now.
   */
  onDrain: () => void
  /** As `onDrain`, called when events in hand may have become `isWanted`: those that only wait for more of them go on now. */
  onWanted: () => void
}
