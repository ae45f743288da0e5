import type { TopicPartition } from '@millrace/core'
import type { BatchSequences } from './batch-sequences.ts'

/** The identity under which a producer sends: outside of transactions, or under a transactional id. */
export interface SendIdentity {
  readonly transactionalId: string | undefined
  readonly sequences: BatchSequences
  /** Called before each request with these partitions. Returns the reason if none of their records may be sent. */
  prepare(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<Error | undefined>
  /** The error that ends the producer, for codes that do. */
  fatal(errorCode: number): Error | undefined
}
