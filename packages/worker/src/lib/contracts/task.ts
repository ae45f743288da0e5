import type { RawRecord, RecordMetadata } from '@millrace/core'
import type { Row, StorePartition } from '@millrace/core/driver'
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
  /** What is open of a state in this task; `undefined` when the state belongs to tasks of another partition count. */
  open(state: StateDefinition): OpenState | undefined
}

/** Changelogged state kept per task: a table or a stateful operator. A descriptor: it lives as long as the app. */
export interface StateDefinition {
  /** Unique in the app; names the store. */
  readonly name: string
  readonly changelog: {
    readonly topic: string
    readonly config: Readonly<Record<string, string>>
  }
  /** Explicit partition count; `undefined` follows the sources (docs/guide/tables.md). */
  readonly partitions: number | undefined
  /** With `partitions: undefined`: the count is that of these topics, whatever the others of the app have. */
  readonly sizedAs?: readonly string[] | undefined
  /** Warm copies to keep on other workers; `undefined` follows the worker's settings. */
  readonly standbys?: number | undefined
  /** It keeps to event time: `OpenStateOptions.time` is given. Default false. */
  readonly eventTime?: boolean
  /** Called when a task is opened and its store has been recovered. */
  openState(context: OpenStateOptions): OpenState
}

/** With what a state is opened in a task. */
export interface OpenStateOptions {
  readonly task: TaskRef
  /** Recovered. Reads only: rows reach it through the commit. */
  readonly store: StorePartition
  /** Bytes of clean cached rows to keep at most. */
  readonly cacheBytes: number
  /**
   * Called with each change of the bytes, roughly, of rows that finished events have changed and that are not stored yet,
   * the rows taken by a commit included: positive when there are more. `close` gives back what is left. Never blocks; it may
   * ask for a commit, and keep further events from being handed out.
   */
  readonly countChanged: (bytes: number) => void
  /** Largest row, key and value; a larger one is refused in the handler that writes it (`ROW_TOO_LARGE`). */
  readonly maxRowBytes: number
  /** Freeze values given out, so that a change in place is found. */
  readonly freeze: boolean
  /** Of a state with `eventTime`. */
  readonly time?: EventTime
  /** What `note` of the state was at the last commit; empty before the first. */
  readonly note?: string
}

/**
 * A state in one task. The worker calls `takeRows` at each commit, and then exactly one of `rowsStored` and `rowsReturned`
 * before the next `takeRows`. Reads meanwhile must see the rows taken.
 */
export interface OpenState {
  /** Rows changed by finished events since the last call, each encoded once. */
  takeRows(): readonly Row[]
  /**
   * A short text of a state with `eventTime` that is committed with the offsets, for the next owner. Read just before
   * `takeRows`. At least once, rows may be on the broker whose commit came to nothing: what it says is of commits only.
   */
  readonly note?: string
  /** The rows taken are on the broker and in the store. */
  rowsStored(): void
  /** The commit failed: the rows taken count as changed again. */
  rowsReturned(): void
  /** Rough size of changed rows not yet taken. */
  readonly dirtyBytes: number
  /** What it has due, for a subscription with `due`; left out by a state that never has anything. */
  readonly due?: DueQueue
  close(): void
}

/**
 * What a state has due in one task: timers, windows that close. Each becomes an ordinary event in flight, with retry, dead
 * letter, drain, conflict on a key and the task's commit.
 */
export interface DueQueue {
  /** `Codec.name` of the keys of its records. */
  readonly keyCodec: string | undefined
  /**
   * The next that is due and was not given before, the earliest first; `undefined` when none is. Its `offset` identifies it
   * among all that this state may have due in this partition, also after a restart.
   */
  next(): RawRecord | undefined
  /** Its event has finished: it is gone from the rows that the next `takeRows` gives. */
  finish(record: RawRecord): void
  /** Where its records have event times: no record to come is older, and all that are older have finished. */
  time?(): number
  /** Set by the worker. To be called when `next` may give something after it has given nothing. */
  onDue: () => void
}

/** What a state has due, as the source of an agent. Implemented by descriptors of states. */
export interface DueSource<K, V> {
  /** Of the state. */
  readonly name: string
  readonly due: StateDefinition
  /** An agent reads it. Throws `DEFINITION_INVALID` when another one does already. */
  readBy(agent: string): void
  keyOf(record: Pick<RawRecord, 'key'>): K
  valueOf(record: Pick<RawRecord, 'key' | 'value' | 'headers'>): V
}

/** What a `send` within an event resolves to. */
export interface SendReceipt {
  /** Resolves when the broker has acknowledged the record. Awaiting it within the record's own event throws `AWAIT_IN_EVENT`. */
  metadata(): Promise<RecordMetadata>
}
