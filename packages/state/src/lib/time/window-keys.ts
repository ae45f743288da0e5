import { MillraceError } from '@millrace/core'
import { type CodecKeys, type KeyShape, showKey } from '../keys/key-shape.ts'

/** One row of a windowed state. */
export interface WindowKey<K> {
  /** In milliseconds since the epoch. */
  readonly start: number
  readonly key: K
}

const START_BYTES = 8
const HIGH = 2 ** 32

/** Row keys of a windowed state: the window's start (8 bytes, big endian), then the key. They sort in the order in which windows end. */
export class WindowKeys<K> implements KeyShape<WindowKey<K>> {
  readonly where: string
  readonly codecName: string
  readonly byCodec: boolean
  /** Those within a window. */
  readonly keys: CodecKeys<K>

  constructor(keys: CodecKeys<K>) {
    this.where = keys.where
    this.codecName = keys.codecName
    this.byCodec = keys.byCodec
    this.keys = keys
  }

  quickIdentity({ start, key }: WindowKey<K>): string | undefined {
    const quick = this.keys.quickIdentity(key)
    return quick === undefined ? undefined : `${start}/${quick}`
  }

  encode({ start, key }: WindowKey<K>): Buffer {
    return windowRow(start, this.keys.encode(key))
  }

  decode(bytes: Buffer): WindowKey<K> {
    if (bytes.length < START_BYTES)
      throw new MillraceError('ROW_UNDECODABLE', `The row ${showKey(bytes)} in ${this.where} has no window.`)
    return { start: startOf(bytes), key: this.keys.decode(keyIn(bytes)) }
  }

  identify(bytes: Buffer): string {
    return `${startOf(bytes)}/${this.keys.identify(keyIn(bytes))}`
  }

  partitionedBy({ key }: WindowKey<K>, bytes: Buffer): Buffer {
    return this.keys.partitionedBy(key, keyIn(bytes))
  }

  show(bytes: Buffer): string {
    return `${this.keys.show(keyIn(bytes))} (window from ${new Date(startOf(bytes)).toISOString()})`
  }
}

/** The row key of an encoded key in a window; without a key, where the rows of the window begin. */
export function windowRow(start: number, key?: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(START_BYTES + (key?.length ?? 0))
  bytes.writeUInt32BE(Math.floor(start / HIGH), 0)
  bytes.writeUInt32BE(start % HIGH, 4)
  key?.copy(bytes, START_BYTES)
  return bytes
}

/** The start of the window of a row. */
export function startOf(row: Buffer): number {
  return row.readUInt32BE(0) * HIGH + row.readUInt32BE(4)
}

/** The key of a row, encoded. */
export function keyIn(row: Buffer): Buffer {
  return row.subarray(START_BYTES)
}
