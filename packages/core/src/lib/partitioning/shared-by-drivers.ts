import { partitionKey, type TopicPartition } from '../../contracts/record.ts'
import type { AssignmentChange } from '../../contracts/transport.ts'
import { MillraceError } from '../errors/millrace-error.ts'

/** The partitions that a member loses, keeps and gains by a new assignment. */
export type PartitionChange = Pick<AssignmentChange, 'lost' | 'kept' | 'gained'>

/** For drivers: the difference between the assignments `before` and `after` of a member. */
export function assignmentChange(before: readonly TopicPartition[], after: readonly TopicPartition[]): PartitionChange {
  const had = new Set(before.map(partitionKey))
  const has = new Set(after.map(partitionKey))
  return {
    lost: before.filter((partition) => !has.has(partitionKey(partition))),
    kept: after.filter((partition) => had.has(partitionKey(partition))),
    gained: after.filter((partition) => !had.has(partitionKey(partition))),
  }
}

/**
 * For drivers: checks an offset that a caller has passed.
 *
 * @throws `OFFSET_UNSAFE` for what cannot be one
 */
export function checkOffset({ topic, partition }: TopicPartition, offset: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0) return
  throw new MillraceError('OFFSET_UNSAFE', `${offset} cannot be an offset of topic "${topic}" partition ${partition}.`)
}
