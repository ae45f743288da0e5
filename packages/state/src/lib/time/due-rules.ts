import type { RawRecord } from '@millrace/core'

/** The record of a row that is due, as the agent's source decodes it; its timestamp is the time at which it is due. */
export type DueRecord = Pick<RawRecord, 'key' | 'value' | 'headers'>

/** When the rows of a state are due, and what becomes of them. */
export interface DueRules<V> {
  /** `Codec.name` of the records' keys; `undefined` when nobody has declared one. */
  readonly keyCodec: string | undefined
  /**
   * `event`: rows are due by the committed watermark of the state, which needs `eventTime` in its definition. `wall`: by the
   * clock.
   */
  readonly clock: 'event' | 'wall'
  /** When a row is due, in whole milliseconds since the epoch; `undefined`: never. The same for the same value, always. */
  dueOf(value: V): number | undefined
  /** What the row becomes as an effect of its event; `undefined` deletes it. Default: it is deleted. */
  fired?(value: V): V | undefined
  /** The row is not handed out when it is due: it has expired, and is deleted without an event. Default false. */
  isExpiry?(value: V): boolean
  /** The same for the same row, always. */
  record(key: Buffer, value: V): DueRecord
}
