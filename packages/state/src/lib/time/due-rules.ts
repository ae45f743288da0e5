import type { RawRecord } from '@millrace/core'

/** The header of a timer's record: its name. */
export const TIMER_HEADER = 'millrace-timer'

/** The record of a row that is due, as the agent's source decodes it. */
export interface DueRecord extends Pick<RawRecord, 'key' | 'value' | 'headers'> {
  /** Default: the time at which the row is due. */
  readonly timestamp?: number
  /** Identifies the record among all of the state's partition, also after a restart. Default: by the row and its due time. */
  readonly offset?: number
}

/** When the rows of a state are due, and how they change then. */
export interface DueRules<V> {
  /** `Codec.name` of the records' keys; `undefined` when nobody has declared one. */
  readonly keyCodec: string | undefined
  /**
   * `event`: rows are due by the committed watermark of the state, which needs `eventTime` in its definition. `wall`: by the
   * clock.
   */
  readonly clock: 'event' | 'wall'
  /**
   * For rows whose keys begin with a time (`WindowKeys`): how long after this time, in milliseconds of event time, an event may
   * still read them. Then they are deleted by ranges, without entries in the index, and never written if no commit has
   * written them yet. A row that is still due stays until it has fired.
   */
  readonly lastsMs?: number
  /** When a row is due, in milliseconds since the epoch, rounded up; `undefined`: never. Depends on the value alone. */
  dueOf(value: V): number | undefined
  /** The new value of the row, as an effect of its event; `undefined` deletes it. Default: the row is deleted. */
  fired?(value: V, key: Buffer): V | undefined
  /** Other rows that are deleted when this one fires. Default: none. */
  consumed?(value: V, key: Buffer): readonly Buffer[]
  /** Whether a due row has only expired: it is then deleted without an event. Default false. */
  isExpiry?(value: V): boolean
  /** Depends on the row alone. */
  record(key: Buffer, value: V): DueRecord
}
