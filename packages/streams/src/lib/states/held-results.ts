import { type Codec, MillraceError } from '@millrace/core'
import type { StreamWindow } from '../stream-windows.ts'

/** The last result of a window that is held back. */
export interface HeldResult {
  readonly window: StreamWindow
  readonly value: unknown
}

const VERSION = 1
/** Start, end, length of the value. */
const HEADER_BYTES = 8 + 8 + 4

/** How the held results of a key are encoded together. `values`: for each of them; `where`: for messages. */
export function heldResults(values: Codec<unknown>, where: string): Codec<readonly HeldResult[]> {
  return {
    name: `windows of ${values.name}`,
    encode(held) {
      const parts: Buffer[] = [Buffer.of(VERSION)]
      for (const { window, value } of held) {
        const bytes = values.encode(value)
        const header = Buffer.allocUnsafe(HEADER_BYTES)
        header.writeDoubleBE(window.start, 0)
        header.writeDoubleBE(window.end, 8)
        header.writeUInt32BE(bytes.length, 16)
        parts.push(header, bytes)
      }
      return Buffer.concat(parts)
    },
    decode(bytes) {
      const held: HeldResult[] = []
      if (bytes[0] !== VERSION) throw undecodable(where, `it has version ${bytes[0] ?? 'nothing'}`)
      for (let at = 1; at < bytes.length;) {
        const from = at + HEADER_BYTES
        const to = from > bytes.length ? Infinity : from + bytes.readUInt32BE(from - 4)
        if (to > bytes.length) throw undecodable(where, `it ends at ${bytes.length}`)
        const window = { start: bytes.readDoubleBE(at), end: bytes.readDoubleBE(at + 8) }
        held.push({ window, value: values.decode(bytes.subarray(from, to)) })
        at = to
      }
      return held
    },
  }
}

/**
 * The held results of a key with newer ones, ordered by their windows. A result replaces the earlier one of its window, and
 * those of the sessions that have become a part of its own.
 */
export function withResults(held: readonly HeldResult[], newer: readonly HeldResult[]): readonly HeldResult[] {
  const others = held.filter(({ window }) => !newer.some((result) => contains(result.window, window)))
  return [...others, ...newer].sort((a, b) => a.window.start - b.window.start)
}

/** Of two fixed windows of one size, none contains the other. */
function contains(whole: StreamWindow, part: StreamWindow): boolean {
  return whole.start <= part.start && whole.end >= part.end
}

function undecodable(where: string, why: string): MillraceError {
  return new MillraceError('ROW_UNDECODABLE', `A row of ${where} with results that wait cannot be read: ${why}.`)
}
