import { readdir, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'

/** Of a record batch: its first offset, its length after these two, and how far its last offset is from the first. */
const LENGTH_AT = 8
const HEADER_BYTES = 12
const LAST_OFFSET_DELTA_AT = 23

/**
 * Takes the records from an offset on away from a stopped broker's partition, as an unclean election or a disk that lied
 * about its writes does. Whole batches only: what is left ends at or before that offset, and is given back.
 */
export async function cutOffLog(dataDirectory: string, topicPartition: string, offset: number): Promise<number> {
  const directory = join(dataDirectory, topicPartition)
  const segments = (await readdir(directory)).filter((name) => name.endsWith('.log'))
  if (segments.length !== 1 || segments[0] === undefined)
    throw new Error(`${topicPartition} should have one segment and has ${segments.length}.`)
  const file = join(directory, segments[0])
  const bytes = await readFile(file)
  let at = 0
  let end = 0
  while (at + HEADER_BYTES < bytes.length) {
    const next = Number(bytes.readBigInt64BE(at)) + bytes.readInt32BE(at + LAST_OFFSET_DELTA_AT) + 1
    if (next > offset) break
    end = next
    at += HEADER_BYTES + bytes.readInt32BE(at + LENGTH_AT)
  }
  await truncate(file, at)
  return end
}
