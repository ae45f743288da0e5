import { crc32 } from 'node:zlib'
import type { Database, RootDatabase } from 'lmdb'
import { MillraceError } from '@millrace/core'

const CHECKSUM_BYTES = 4

/** Checkpoints, owner, worker id: short texts by name, each with a checksum. Writes belong into a transaction. */
export class StoreFacts {
  readonly #rows: Database<Buffer, Buffer>

  constructor(root: RootDatabase<Buffer, Buffer>) {
    this.#rows = root.openDB<Buffer, Buffer>({ name: 'facts', encoding: 'binary', keyEncoding: 'binary' })
  }

  /** Throws `STORE_CORRUPT`. */
  get(name: string): string | undefined {
    const row = this.#rows.get(Buffer.from(name))
    if (row === undefined) return undefined
    const text = checkedText(name, row)
    if (text === undefined) throw new MillraceError('STORE_CORRUPT', `What the store keeps as "${name}" is damaged.`)
    return text
  }

  put(name: string, text: string): void {
    this.#rows.putSync(Buffer.from(name), withChecksum(name, text))
  }

  remove(name: string): void {
    this.#rows.removeSync(Buffer.from(name))
  }
}

/** The text of a row; `undefined` when it is damaged, or belongs to another name. */
export function checkedText(name: string, row: Buffer): string | undefined {
  const end = row.length - CHECKSUM_BYTES
  if (end < 0) return undefined
  const text = row.toString('utf8', 0, end)
  return checksum(name, text) === row.readUInt32LE(end) ? text : undefined
}

function withChecksum(name: string, text: string): Buffer {
  const row = Buffer.alloc(Buffer.byteLength(text) + CHECKSUM_BYTES)
  row.writeUInt32LE(checksum(name, text), row.write(text))
  return row
}

function checksum(name: string, text: string): number {
  return crc32(text, crc32(`${name}\0`))
}
