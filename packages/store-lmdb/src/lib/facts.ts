import { crc32 } from 'node:zlib'
import type { Database, RootDatabase } from 'lmdb'
import { MillraceError } from '@millrace/core'
import type { Checkpoint, StorePartition } from '@millrace/core/driver'
import { storeError } from './store-error.ts'

const CHECKSUM_BYTES = 4

/**
 * Checkpoints, owner, worker id: short texts by name, each with a checksum. Writes must be made within a transaction.
 */
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
    if (text === undefined) throw new MillraceError('STORE_CORRUPT', `The store's fact "${name}" is damaged.`)
    return text
  }

  put(name: string, text: string): void {
    this.#rows.putSync(Buffer.from(name), withChecksum(name, text))
  }

  remove(name: string): void {
    this.#rows.removeSync(Buffer.from(name))
  }
}

/** The text of a row; `undefined` if it is damaged, or belongs to another name. */
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

/** The name of the fact with the checkpoint of a table partition. */
export function checkpointName(table: string, partition: number): string {
  return `checkpoint/${table}/${partition}`
}

export function writeCheckpoint({ topicId, offset, wallTimeMs }: Checkpoint): string {
  return JSON.stringify([topicId, offset, wallTimeMs])
}

/**
 * The checkpoint as of the last commit, whether the partition is open or not. Throws `STORE_CORRUPT`, `STORE_FAILED`.
 */
export function keptCheckpoint(
  facts: StoreFacts,
  { table, partition }: Pick<StorePartition, 'table' | 'partition'>,
): Checkpoint | undefined {
  const where = `Partition ${partition} of table "${table}"`
  try {
    const text = facts.get(checkpointName(table, partition))
    return text === undefined ? undefined : readCheckpoint(text, where)
  } catch (thrown) {
    throw storeError(thrown, `${where} cannot be read`)
  }
}

/** Throws `STORE_CORRUPT`. */
function readCheckpoint(text: string, where: string): Checkpoint {
  const fields: unknown = JSON.parse(text)
  if (Array.isArray(fields)) {
    const [topicId, offset, wallTimeMs]: unknown[] = fields
    if (typeof topicId === 'string' && typeof offset === 'number' && typeof wallTimeMs === 'number')
      return { topicId, offset, wallTimeMs }
  }
  throw new MillraceError('STORE_CORRUPT', `The checkpoint of ${where} cannot be read.`)
}

/**
 * The database with the rows of a table partition, by the partition's name. After `leaveDatabase` it is another one.
 */
export function databaseName(partition: string, facts: StoreFacts): string {
  const left = timesLeft(partition, facts)
  return left === 0 ? partition : `${partition}~${left}`
}

/** Switches the partition to another, empty database. Must be called within a transaction. */
export function leaveDatabase(partition: string, facts: StoreFacts): void {
  facts.put(factName(partition), String(timesLeft(partition, facts) + 1))
}

function timesLeft(partition: string, facts: StoreFacts): number {
  return Number(facts.get(factName(partition)) ?? 0)
}

function factName(partition: string): string {
  return `left/${partition}`
}
