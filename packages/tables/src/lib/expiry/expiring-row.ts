import type { Clock } from '@millrace/core'
import type { RowShape } from '@millrace/state'
import type { CurrentEvent, EventTime } from '@millrace/worker'

/** The clock by which the rows of a partition expire. */
export interface ExpiryClock {
  /** The time for reads in this event, or outside events. */
  now(event: CurrentEvent | undefined): number
  /** The time of a write by this event. */
  writtenAt(event: CurrentEvent): number
}

export function wallExpiry(clock: Clock): ExpiryClock {
  return { now: () => clock.now(), writtenAt: () => clock.now() }
}

/** `time`: `undefined` where rows are only read, without a worker. */
export function eventExpiry(time: EventTime | undefined): ExpiryClock {
  return {
    now: (event) => (event === undefined ? time?.watermark : time?.at(event)) ?? -Infinity,
    writtenAt: ({ timestamp }) => timestamp,
  }
}

/** The clock of rows that are only encoded. */
export const NO_CLOCK: ExpiryClock = { now: () => -Infinity, writtenAt: () => -Infinity }

/** A value with the time at which it expires. */
export class ExpiringRow<V> {
  readonly value: V
  /** `Infinity`: it was written before the table had a ttl. */
  readonly until: number
  readonly #clock: ExpiryClock

  constructor(value: V, until: number, clock: ExpiryClock) {
    this.value = value
    this.until = until
    this.#clock = clock
  }

  /** The value, unless it has expired. */
  live(event: CurrentEvent | undefined): V | undefined {
    return this.until > this.#clock.now(event) ? this.value : undefined
  }
}

const TIME_BYTES = 8
/** The last bytes of rows with a time. No text in UTF-8 ends with them. */
const MARK = Buffer.from([0xff, 0xfe, 0x74])
const TAIL_BYTES = TIME_BYTES + MARK.length

/** The rows of a shape, each followed by the time at which it expires. */
export function expiringRows<V>(rows: RowShape<V>, clock: ExpiryClock): RowShape<ExpiringRow<V>> {
  const encode = ({ value, until }: ExpiringRow<V>): Buffer => {
    const tail = Buffer.allocUnsafe(TAIL_BYTES)
    tail.writeDoubleBE(until, 0)
    MARK.copy(tail, TIME_BYTES)
    return Buffer.concat([rows.encode(value), tail])
  }
  return {
    where: rows.where,
    identify: (key) => rows.identify(key),
    show: (key) => rows.show(key),
    groupOf: rows.groupOf,
    admit: encode,
    encode,
    decode: (bytes, key) => {
      const end = bytes.length - TAIL_BYTES
      if (end < 0 || !bytes.subarray(-MARK.length).equals(MARK))
        return new ExpiringRow(rows.decode(bytes, key), Infinity, clock)
      return new ExpiringRow(rows.decode(bytes.subarray(0, end), key), bytes.readDoubleBE(end), clock)
    },
  }
}
