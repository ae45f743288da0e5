import { MillraceError, type Checkpoint, type StorePartition } from '@millrace/core'
import type { StoreFacts } from './facts.ts'
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

/** The database with the rows of a table partition, by the partition's name. Each time it is left, another one takes over. */
export function databaseName(partition: string, facts: StoreFacts): string {
  const left = timesLeft(partition, facts)
  return left === 0 ? partition : `${partition}~${left}`
}

/** From now on the partition has another database, an empty one. Belongs into a transaction. */
export function leaveDatabase(partition: string, facts: StoreFacts): void {
  facts.put(factName(partition), String(timesLeft(partition, facts) + 1))
}

function timesLeft(partition: string, facts: StoreFacts): number {
  return Number(facts.get(factName(partition)) ?? 0)
}

function factName(partition: string): string {
  return `left/${partition}`
}
