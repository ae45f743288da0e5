import type { TopicPartition } from '../../contracts/record.ts'

/** A map key for a topic partition. Topic names have no `/`, so it is unambiguous. */
export function partitionKey(partition: TopicPartition): string {
  return `${partition.topic}/${partition.partition}`
}
