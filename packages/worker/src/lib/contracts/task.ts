import type { Clock, RawRecord, RecordMetadata } from '@millrace/core'
import type { Row, StorePartition } from '@millrace/core/driver'
import type { CurrentEvent } from './event.ts'
import type { EventTime } from './event-time.ts'

/** Partition `partition` of everything that has `partitions` partitions: the unit of assignment, commit, rollback and recovery. */
export interface TaskRef {
  /** `{partitions}-{partition}` */
  readonly id: string
  readonly partitions: number
  readonly partition: number
}

/** A task while this worker runs it. Implemented by `worker`. */
export interface OwnedTask extends TaskRef {
  /** The open state in this task; `undefined` if the state belongs to tasks of another partition count. */
  open(state: StateDefinition): OpenState | undefined
}

/**
 * Changelogged state kept per task: a table or a stateful operator. It is a descriptor, which lives as long as the app.
 */
export interface StateDefinition {
  /** Unique in the app; also the name of the store. */
  readonly name: string
  readonly changelog: {
    readonly topic: string
    readonly config: Readonly<Record<string, string>>
  }
  /** Explicit partition count; `undefined` follows the sources (docs/guide/tables.md). */
  readonly partitions: number | undefined
  /** With `partitions: undefined`: the count is that of these topics, whatever the others of the app have. */
  readonly sizedAs?: readonly string[] | undefined
  /** States that must have as many partitions: what is written to those is written to this one too. */
  readonly besides?: readonly StateDefinition[] | undefined
  /** Warm copies to keep on other workers; `undefined` follows the worker's settings. */
  readonly standbys?: number | undefined
  /** Whether the state keeps event time, so that `OpenStateOptions.time` is given. Default false. */
  readonly eventTime?: boolean
  /**
   * Ids of subscriptions that write a state with `eventTime`, so that their partitions hold its watermark from the start.
   * Others do from their first write on.
   */
  readonly timedBy?: readonly string[]
  /** Called when a task is opened and its store has been recovered. */
  openState(context: OpenStateOptions): OpenState
}

/** The options with which a state is opened in a task. */
export interface OpenStateOptions {
  readonly task: TaskRef
  /** The recovered store. Only for reads: rows reach it through the commit. */
  readonly store: StorePartition
  /** Bytes of clean cached rows to keep at most. */
  readonly cacheBytes: number
  /**
   * Called with each change in the approximate bytes of rows that finished events have changed and that are not stored
   * yet, including rows taken by a commit; a positive number is an increase. `close` returns what is left. Never
   * blocks; it may request a commit, and stop the hand-out of events.
   */
  readonly countChanged: (bytes: number) => void
  /** Largest row, key and value; a larger one is refused in the handler that writes it (`ROW_TOO_LARGE`). */
  readonly maxRowBytes: number
  /** Freeze returned values, so that changing them in place fails. */
  readonly freeze: boolean
  readonly clock: Clock
  /** Rows have changed without an event: the task has something for its next commit. */
  readonly touch: () => void
  /** Asks for a commit of the task before its time. */
  readonly commitSoon: () => void
  /** Present for a state with `eventTime`. */
  readonly time?: EventTime
  /** The `note` of the state at the last commit; empty before the first. */
  readonly note?: string
}

/**
 * A state in one task. The worker calls `takeRows` at each commit, and then exactly one of `rowsStored` and
 * `rowsReturned` before the next `takeRows`. Reads in between must see the rows that were taken.
 */
export interface OpenState {
  /** Rows changed by finished events since the last call, each encoded once. */
  takeRows(): readonly Row[]
  /**
   * A short text of a state with `eventTime` that is committed with the offsets, for the next owner. Read just before
   * `takeRows`. It must describe commits only, because at least once the broker may have rows whose commit failed.
   */
  readonly note?: string
  /**
   * The rows taken are on the broker and in the store. `rows`: all that this commit has written, which may be more than
   * were taken.
   */
  rowsStored(rows: readonly Row[]): void
  /** The commit failed: the rows taken count as changed again. */
  rowsReturned(): void
  /** Rough size of changed rows not yet taken. */
  readonly dirtyBytes: number
  /** For statistics: the rows that users know of. Default: those in the store. */
  readonly rows?: number
  /** The due events of the state, for a subscription with `due`; left out by a state that never has any. */
  readonly due?: DueQueue
  close(): void
}

/**
 * Due events of a state in one task: timers, or windows that close. Each becomes an ordinary event in flight, with
 * retry, dead letter, drain, conflict on a key and the task's commit.
 */
export interface DueQueue {
  /** `Codec.name` of the keys of its records. */
  readonly keyCodec: string | undefined
  /**
   * The next due record that was not returned before, the earliest first; `undefined` if none is due. Its `offset`
   * identifies it among all due records of this state in this partition, even after a restart.
   */
  next(): RawRecord | undefined
  /**
   * Called before an agent handles one of its events, at each attempt. It becomes an effect of the event that the record is
   * no longer due. False if it is not due any more (cancelled, or moved to a later time): the event then finishes without
   * its agent. Throws `KEY_CONFLICT` while another event holds the row. Default: it is still due.
   */
  claim?(event: CurrentEvent): boolean
  /** Called when the event of a record has finished: the rows of the next `takeRows` no longer have it. */
  finish(record: RawRecord): void
  /** Present if the records have event times: no future record is older than this, and all older ones have finished. */
  time?(): number
  /** Set by the worker. Must be called when `next` may return a record after it has returned none. */
  onDue: () => void
}

/** The due events of a state, as the source of an agent. Implemented by descriptors of states. */
export interface DueSource<K, V> {
  /** Name of the state. */
  readonly name: string
  /** What its events are, in a word for dead letters and messages: `window`, `timer`. */
  readonly kind: string
  readonly due: StateDefinition
  /** Registers the agent that reads it. Throws `DEFINITION_INVALID` if another agent does already. */
  readBy(agent: string): void
  keyOf(record: Pick<RawRecord, 'key'>): K
  valueOf(record: Pick<RawRecord, 'key' | 'value' | 'headers'>): V
}

/** What a `send` within an event resolves to. */
export interface SendReceipt {
  /** Resolves when the broker has acknowledged the record. Awaiting it within the record's own event throws `AWAIT_IN_EVENT`. */
  metadata(): Promise<RecordMetadata>
}
