import { type CommitOffset, grouped, type TopicPartition } from '@millrace/core'
import type { WireReader } from '../wire-reader.ts'
import type { WireWriter } from '../wire-writer.ts'

/** Groups items by topic, in the order of first appearance: most requests nest partitions in topics. */
export function byTopic<T extends TopicPartition>(items: readonly T[]): [topic: string, items: T[]][] {
  return [...grouped(items, ({ topic }) => topic)]
}

/** Writes partitions nested in topics, each by `write`. */
export function writeByTopic<T extends TopicPartition>(
  writer: WireWriter,
  items: readonly T[],
  write: (item: T) => void,
): void {
  writer.array(byTopic(items), ([topic, list]) => writer.string(topic).array(list, write))
}

/** Reads partitions nested in topics into one list. */
export function readByTopic<T>(reader: WireReader, read: (topic: string) => T): T[] {
  return reader
    .array(() => {
      const topic = reader.text()
      return reader.array(() => read(topic))
    })
    .flat()
}

/** Writes offsets to commit. */
export function writeOffsets(writer: WireWriter, offsets: readonly CommitOffset[]): void {
  writeByTopic(writer, offsets, ({ partition, offset, metadata }) =>
    writer.int32(partition).int64(offset).int32(-1).string(metadata),
  )
}

export interface PartitionResult extends TopicPartition {
  readonly errorCode: number
}

/** Reads a response with an error code for each partition. */
export function readPartitionResults(reader: WireReader): readonly PartitionResult[] {
  reader.int32()
  return readByTopic(reader, (topic) => ({ topic, partition: reader.int32(), errorCode: reader.int16() }))
}

/** Reads a response that is one error code. */
export function readErrorCode(reader: WireReader): number {
  reader.int32()
  return reader.int16()
}
