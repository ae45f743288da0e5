import { MillraceError, type Checkpoint, type StorePartition } from '@millrace/core'
import type { Facts } from './facts.ts'
import { storeError } from './store-error.ts'

/** Where the checkpoint of a table partition is kept among the facts. */
export function checkpointName(table: string, partition: number): string {
  return `checkpoint/${table}/${partition}`
}

export function writeCheckpoint({ topicId, offset, wallTimeMs }: Checkpoint): string {
  return JSON.stringify([topicId, offset, wallTimeMs])
}

/** As of the last commit, whether the partition is open or not. Throws `STORE_CORRUPT`, `STORE_FAILED`. */
export function keptCheckpoint(
  facts: Facts,
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
