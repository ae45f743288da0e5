import { MillraceError, type RawHeaders, type RawRecord } from '@millrace/core'
import type { WaitingFailure } from '../events/in-flight.ts'

/** Numbers of the events that wait behind the first one of their key: from `first` up to and excluding `next`. */
export interface EventsBehind {
  readonly first: number
  readonly next: number
}

/** An event that has left its partition: its record with its place, its attempts, and when it is due. */
export interface WaitingEvent {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
  /** Attempts that have failed. */
  readonly attempts: number
  /** How often it has waited for an attempt, including this time: none for an event that waits behind another one. */
  readonly waits: number
  /** When it is due, in milliseconds since the epoch; 0 for at once, when it is the first of its key. */
  readonly at: number
  /** Its first failure and its last one. */
  readonly failures: readonly [first: WaitingFailure, last: WaitingFailure] | undefined
  /** Of the first event of its key; `undefined` for those behind it. */
  readonly behind: EventsBehind | undefined
}

/** A due record of a waiting event. */
export interface WaitingRecord extends RawRecord {
  readonly waiting: WaitingEvent
  /** The key of its row. */
  readonly row: Buffer
}

/** The waiting event of a record that comes from there; `undefined` for a record of a partition. */
export function waitingIn(record: RawRecord): WaitingRecord | undefined {
  return 'waiting' in record ? (record as WaitingRecord) : undefined
}

/** The longest message of a failure that is kept with a waiting event. */
export const LONGEST_MESSAGE = 500

const VERSION = 1
/** Version, a bit for each of the following, at, attempts, waits, partition, offset, timestamp, first, next. */
const FIXED_BYTES = 1 + 1 + 8 + 4 + 4 + 4 + 8 + 8 + 8 + 8
const BEHIND = 1
const NOTHING = 0xffffffff

/** The row of a waiting event. */
export function encodeWaiting(event: WaitingEvent): Buffer {
  const fixed = Buffer.allocUnsafe(FIXED_BYTES)
  const { at, attempts, waits, partition, offset, timestamp, behind, failures, headers } = event
  let end = fixed.writeUInt8(VERSION, 0)
  end = fixed.writeUInt8(behind === undefined ? 0 : BEHIND, end)
  end = fixed.writeDoubleBE(at, end)
  end = fixed.writeUInt32BE(attempts, end)
  end = fixed.writeUInt32BE(waits, end)
  end = fixed.writeUInt32BE(partition, end)
  end = fixed.writeDoubleBE(offset, end)
  end = fixed.writeDoubleBE(timestamp, end)
  end = fixed.writeDoubleBE(behind?.first ?? 0, end)
  fixed.writeDoubleBE(behind?.next ?? 0, end)
  const parts: Buffer[] = [fixed]
  const add = (bytes: Buffer | null): void => {
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32BE(bytes?.length ?? NOTHING)
    parts.push(length)
    if (bytes !== null) parts.push(bytes)
  }
  add(Buffer.from(event.topic))
  add(event.key)
  add(event.value)
  add(failures === undefined ? null : Buffer.from(JSON.stringify(failures)))
  for (const [name, value] of headers) {
    add(Buffer.from(name))
    add(value)
  }
  return Buffer.concat(parts)
}

/** Reads a row. `where`: for messages. Throws `ROW_UNDECODABLE`. */
export function decodeWaiting(bytes: Buffer, where: string): WaitingEvent {
  try {
    return decode(bytes)
  } catch (error) {
    throw new MillraceError('ROW_UNDECODABLE', `A row of ${where} with an event that waits cannot be read.`, {
      cause: error,
    })
  }
}

function decode(bytes: Buffer): WaitingEvent {
  if (bytes[0] !== VERSION) throw new RangeError(`It has version ${bytes[0] ?? 'nothing'}.`)
  let at = FIXED_BYTES
  const take = (): Buffer | null => {
    const length = bytes.readUInt32BE(at)
    at += 4
    if (length === NOTHING) return null
    if (at + length > bytes.length) throw new RangeError(`It ends at ${bytes.length}, not at ${at + length}.`)
    return bytes.subarray(at, (at += length))
  }
  const text = (): string => take()?.toString() ?? ''
  const topic = text()
  const key = take()
  const value = take()
  const failures = take()
  const headers: (readonly [string, Buffer | null])[] = []
  while (at < bytes.length) headers.push([text(), take()])
  return {
    topic,
    key,
    value,
    headers,
    at: bytes.readDoubleBE(2),
    attempts: bytes.readUInt32BE(10),
    waits: bytes.readUInt32BE(14),
    partition: bytes.readUInt32BE(18),
    offset: bytes.readDoubleBE(22),
    timestamp: bytes.readDoubleBE(30),
    behind: bytes[1] === BEHIND ? { first: bytes.readDoubleBE(38), next: bytes.readDoubleBE(46) } : undefined,
    failures: failures === null ? undefined : (JSON.parse(failures.toString()) as WaitingEvent['failures']),
  }
}
