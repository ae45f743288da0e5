import { asInteger, asMap, asText, optional, readFields } from '@millrace/core'
import { MOST_BLOCKING_EVENTS, type BlockingEvent } from '../task/blocking-events.ts'
import { asBlockingEvents } from './member-data.ts'

/** Data that the leader sends to one member only, with its assignment. */
export interface OwnData {
  /** By task id: the warm copies that it keeps, and the number of each among the task's copies, from 0. */
  readonly standbys: ReadonlyMap<string, number>
  /** Events in its partitions that may block the event loop. */
  readonly blockingEvents: readonly BlockingEvent[]
}

export const NO_OWN_DATA: OwnData = { standbys: new Map(), blockingEvents: [] }

/** Fields may be added, because members of other versions ignore unknown ones. */
const VERSION = 1

export function encodeOwnData({ standbys, blockingEvents }: OwnData): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      v: VERSION,
      standbys: Object.fromEntries(standbys),
      ...(blockingEvents.length === 0 ? {} : { suspects: blockingEvents.slice(0, MOST_BLOCKING_EVENTS) }),
    }),
  )
}

/** Data of an unknown format decodes as no data: the member then keeps no copies. */
export function decodeOwnData(bytes: Uint8Array): OwnData {
  const read = readFields(bytes, VERSION, ({ standbys, suspects }) => ({
    standbys: asMap(standbys, asText, asInteger),
    blockingEvents: optional(suspects, asBlockingEvents) ?? [],
  }))
  return read ?? NO_OWN_DATA
}
