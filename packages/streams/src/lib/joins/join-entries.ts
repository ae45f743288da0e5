import { MillraceError } from '@millrace/core'

/** `left`: the stream that calls `join`; `right`: the other one. */
export type Side = 'left' | 'right'

/** An event that waits for events of the other side. */
export interface KeptEvent {
  readonly side: Side
  /** Whether it has matched an event of the other side. */
  readonly isMatched: boolean
  readonly time: number
  /** A digest of its topic's name: with the offset, it tells a replayed event from another one. */
  readonly source: number
  readonly offset: number
  readonly value: Buffer
}

const VERSION = 1
const LEFT = 0
const RIGHT = 1
const MATCHED = 2
/** Side and match, source, offset, time, length of the value. */
const HEADER_BYTES = 1 + 4 + 8 + 8 + 4

/** The bytes of a row with these events. */
export function sizeOf(kept: readonly KeptEvent[]): number {
  return kept.reduce((sum, { value }) => sum + HEADER_BYTES + value.length, 1)
}

/** The events of one row, in bytes. */
export function encodeKept(kept: readonly KeptEvent[]): Buffer {
  const bytes = Buffer.allocUnsafe(sizeOf(kept))
  let at = bytes.writeUInt8(VERSION, 0)
  for (const { side, isMatched, source, offset, time, value } of kept) {
    at = bytes.writeUInt8((side === 'left' ? LEFT : RIGHT) + (isMatched ? MATCHED : 0), at)
    at = bytes.writeUInt32BE(source, at)
    at = bytes.writeDoubleBE(offset, at)
    at = bytes.writeDoubleBE(time, at)
    at = bytes.writeUInt32BE(value.length, at)
    at += value.copy(bytes, at)
  }
  return bytes
}

/** Throws `ROW_UNDECODABLE`. `where`: for messages. */
export function decodeKept(bytes: Buffer, where: string): readonly KeptEvent[] {
  const kept: KeptEvent[] = []
  if (bytes[0] !== VERSION) throw undecodable(where, `it has version ${bytes[0] ?? 'nothing'}`)
  for (let at = 1; at < bytes.length;) {
    const from = at + HEADER_BYTES
    const to = from > bytes.length ? Infinity : from + bytes.readUInt32BE(from - 4)
    if (to > bytes.length) throw undecodable(where, `it ends at ${bytes.length}`)
    const flags = bytes.readUInt8(at)
    kept.push({
      side: (flags & RIGHT) === 0 ? 'left' : 'right',
      isMatched: (flags & MATCHED) !== 0,
      source: bytes.readUInt32BE(at + 1),
      offset: bytes.readDoubleBE(at + 5),
      time: bytes.readDoubleBE(at + 13),
      value: bytes.subarray(from, to),
    })
    at = to
  }
  return kept
}

function undecodable(where: string, why: string): MillraceError {
  return new MillraceError('ROW_UNDECODABLE', `A row of ${where} with events that wait cannot be read: ${why}.`)
}
