import { MillraceError, type CommitOffset, type TopicPartition } from '@millrace/core'

const MAX_METADATA_BYTES = 4096

/** Throws `OFFSET_UNSAFE` for what cannot be an offset. */
export function checkOffset({ topic, partition }: TopicPartition, offset: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0) return
  throw new MillraceError('OFFSET_UNSAFE', `${offset} cannot be an offset of topic "${topic}" partition ${partition}.`)
}

/** As `checkOffset`, for offsets about to be committed. */
export function checkCommit(offsets: readonly CommitOffset[]): void {
  for (const offset of offsets) {
    checkOffset(offset, offset.offset)
    const bytes = Buffer.byteLength(offset.metadata)
    if (bytes <= MAX_METADATA_BYTES) continue
    throw new MillraceError(
      'RECORD_TOO_LARGE',
      `Commit metadata of ${bytes} bytes for topic "${offset.topic}" partition ${offset.partition} is over ${MAX_METADATA_BYTES}.`,
    )
  }
}
