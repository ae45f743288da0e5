import { MillraceError, type Checkpoint } from '@millrace/core'

/** Where the checkpoint of a table partition is kept among the facts. */
export function checkpointName(table: string, partition: number): string {
  return `checkpoint/${table}/${partition}`
}

export function writeCheckpoint({ topicId, offset, wallTimeMs }: Checkpoint): string {
  return JSON.stringify([topicId, offset, wallTimeMs])
}

/** Throws `STORE_CORRUPT`. */
export function readCheckpoint(text: string, where: string): Checkpoint {
  const fields: unknown = JSON.parse(text)
  if (Array.isArray(fields)) {
    const [topicId, offset, wallTimeMs]: unknown[] = fields
    if (typeof topicId === 'string' && typeof offset === 'number' && typeof wallTimeMs === 'number')
      return { topicId, offset, wallTimeMs }
  }
  throw new MillraceError('STORE_CORRUPT', `The checkpoint of ${where} cannot be read.`)
}
