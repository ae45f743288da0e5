import { murmur2 } from './murmur2.ts'

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
