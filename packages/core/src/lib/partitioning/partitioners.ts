const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995

/**
 * MurmurHash2 exactly as Kafka's Java client computes it for its default partitioner, as a signed 32-bit integer.
 *
 * @example
 * murmur2(Buffer.from('21')) // -973932308
 */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  const whole = length - (length % 4)
  let hash = SEED ^ length
  for (let i = 0; i < whole; i += 4) {
    let word =
      byteAt(bytes, i) | (byteAt(bytes, i + 1) << 8) | (byteAt(bytes, i + 2) << 16) | (byteAt(bytes, i + 3) << 24)
    word = Math.imul(word, MULTIPLIER)
    word ^= word >>> 24
    word = Math.imul(word, MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  const rest = length - whole
  if (rest === 3) hash ^= byteAt(bytes, whole + 2) << 16
  if (rest >= 2) hash ^= byteAt(bytes, whole + 1) << 8
  if (rest >= 1) hash = Math.imul(hash ^ byteAt(bytes, whole), MULTIPLIER)
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER)
  return hash ^ (hash >>> 15)
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0
}

const POSITIVE = 0x7fffffff

/**
 * The partition of an encoded key, the same as Kafka's Java client chooses by default.
 *
 * @param partitions the topic's partition count, 1 or more
 * @example
 * partitionForKey(stringCodec.encode('milk'), 8)
 */
export function partitionForKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & POSITIVE) % partitions
}

/** Chooses partitions for records without a key. */
export interface SpreadPartitioner {
  /** Partition of the next record for a topic. `partitions` is the topic's count, 1 or more. */
  next(topic: string, partitions: number): number
}

export interface SpreadOptions {
  /** How many records in a row go to one partition, so that batches are worth their header. Default 16. */
  readonly recordsInRow?: number
  /** Where each topic starts; use a different number for each producer, or they all favour partition 0. Default 0. */
  readonly first?: number
}

/**
 * Cycles through the partitions of each topic, a few records at a time.
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
