/** Chooses partitions for records without a key. */
export interface SpreadPartitioner {
  /** Partition of the next record for a topic. `partitions` is the topic's count, 1 or more. */
  next(topic: string, partitions: number): number
}

export interface SpreadOptions {
  /** Records in a row to one partition, so that batches on the wire are worth their header. Default 16. */
  readonly recordsInRow?: number
  /** Where each topic starts; give each producer another number, or they all favour partition 0. Default 0. */
  readonly first?: number
}

/**
 * Goes round the partitions of each topic, a few records at each.
 *
 * @example
 * const spread = spreadPartitioner({ first: process.pid })
 * spread.next('posts', 8)
 */
export function spreadPartitioner({ recordsInRow = 16, first = 0 }: SpreadOptions = {}): SpreadPartitioner {
  const sentByTopic = new Map<string, number>()
  return {
    next(topic, partitions) {
      const sent = sentByTopic.get(topic) ?? 0
      sentByTopic.set(topic, sent + 1)
      return (first + Math.floor(sent / recordsInRow)) % partitions
    },
  }
}
