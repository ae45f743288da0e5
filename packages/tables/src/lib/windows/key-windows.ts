import { type Duration, parseDuration } from '@millrace/core'
import type { WindowValue } from './window-options.ts'

/** A stretch of time, in milliseconds since the epoch: `from` belongs to it, `to` does not. */
export interface TimeRange {
  readonly from?: number | undefined
  readonly to?: number | undefined
}

/** How the windows of a key are read. */
export interface KeyReader<V, G> {
  /** For messages. */
  readonly where: string
  /** The time of the current event; outside an event, the watermark. */
  eventTime(): number
  wallTime(): number
  at(time: number): G
  windows(range: TimeRange): WindowValue<V>[]
}

/**
 * The windows of one key of a windowed table. If hopping windows overlap, `current`, `now`, `delta` and `at` read the one
 * that began last. In an agent, reads include the changes of the current event. A window past its retention has no value.
 */
export class KeyWindows<V, G extends V | undefined> {
  readonly #reader: KeyReader<V, G>

  constructor(reader: KeyReader<V, G>) {
    this.#reader = reader
  }

  /** The value in the window of the current event; outside an event, in the window of the watermark. */
  current(): G {
    return this.#reader.at(this.#reader.eventTime())
  }

  /** The value in the window of the clock's time. */
  now(): G {
    return this.#reader.at(this.#reader.wallTime())
  }

  /** The value in the window that is `before` earlier than that of `current`. */
  delta(before: Duration): G {
    const beforeMs = parseDuration(before, `delta of ${this.#reader.where}`)
    return this.#reader.at(this.#reader.eventTime() - beforeMs)
  }

  /** The value in the window of this time, in milliseconds since the epoch. */
  at(time: number | Date): G {
    return this.#reader.at(Number(time))
  }

  /** All windows that have a value and overlap the range, the oldest first. */
  windows(range: TimeRange = {}): WindowValue<V>[] {
    return this.#reader.windows(range)
  }
}
