import { MillraceError } from '@millrace/core'
import { showKey } from '../keys/key-shape.ts'
import type { RowShape } from '../rows/row-shape.ts'

const FORMAT = 1
const LENGTH_BYTES = 4

/** How windows that share a row are encoded, apart from their values. */
export interface PackedFormat<H> {
  /** For messages: `sessions`. */
  readonly what: string
  /** The bytes that `write` writes. */
  readonly bytes: number
  write(window: H, into: Buffer): void
  read(from: Buffer, at: number): H
}

type Packed<H, V> = H & { readonly value: V }

/** Rows of several windows each, with values as `values` encodes them. */
export function packedRows<H, V>(values: RowShape<V>, format: PackedFormat<H>): RowShape<readonly Packed<H, V>[]> {
  const encode = (windows: readonly Packed<H, V>[]): Buffer => {
    const parts: Buffer[] = [Buffer.of(FORMAT)]
    for (const window of windows) {
      const bytes = values.encode(window.value)
      const header = Buffer.allocUnsafe(format.bytes + LENGTH_BYTES)
      format.write(window, header)
      header.writeUInt32BE(bytes.length, format.bytes)
      parts.push(header, bytes)
    }
    return Buffer.concat(parts)
  }
  return {
    where: values.where,
    identify: (row) => values.identify(row),
    show: (row) => values.show(row),
    groupOf: undefined,
    admit: encode,
    encode,
    decode: (bytes, row) =>
      unpacked(bytes, row, format).map((window) => ({ ...window, value: values.decode(window.value, row) })),
  }
}

/** The windows of a row, with their values as they are encoded. Throws `ROW_UNDECODABLE`. */
export function unpacked<H>(bytes: Buffer, row: Buffer, format: PackedFormat<H>): readonly Packed<H, Buffer>[] {
  const found: Packed<H, Buffer>[] = []
  const headerBytes = format.bytes + LENGTH_BYTES
  let at = 1
  while (bytes[0] === FORMAT && at + headerBytes <= bytes.length) {
    const from = at + headerBytes
    const to = from + bytes.readUInt32BE(from - LENGTH_BYTES)
    if (to > bytes.length) break
    found.push({ ...format.read(bytes, at), value: bytes.subarray(from, to) })
    at = to
  }
  if (bytes[0] === FORMAT && at === bytes.length) return found
  throw new MillraceError('ROW_UNDECODABLE', `The row ${showKey(row)} holds no ${format.what} that can be read.`)
}
