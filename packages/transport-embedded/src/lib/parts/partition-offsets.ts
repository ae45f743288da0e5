import { MillraceError, type PartitionOffsets, type TopicPartition } from '@millrace/core'
import { missing } from '../log/plan-append.ts'
import type { LogBackend } from '../log/log-backend.ts'

/** Beginning and end of each. Throws `TOPIC_MISSING` and `PARTITION_MISSING`. */
export function partitionOffsets(
  backend: LogBackend,
  partitions: readonly TopicPartition[],
): readonly PartitionOffsets[] {
  return backend.read((log) =>
    partitions.map(({ topic: name, partition }) => {
      const topic = log.topic(name)
      if (topic === undefined) throw missing(name)
      if (partition < 0 || partition >= topic.partitions) {
        throw new MillraceError(
          'PARTITION_MISSING',
          `Topic "${name}" has ${topic.partitions} partitions, not number ${partition}.`,
        )
      }
      const { start, end } = log.bounds(topic, partition)
      return { topic: name, partition, beginning: start, end }
    }),
  )
}
