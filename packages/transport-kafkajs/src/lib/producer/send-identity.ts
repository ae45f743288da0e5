import type { TopicPartition } from '@millrace/core'
import type { BatchSequences } from './batch-sequences.ts'

/** As whom a producer sends: outside of transactions, or under a transactional id. */
export interface SendIdentity {
  readonly transactionalId: string | undefined
  readonly sequences: BatchSequences
  /** Before each request with these partitions. Gives why none of their records may be sent, if so. */
  prepare(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<Error | undefined>
  /** The error that ends the producer, for answers that do. */
  fatal(errorCode: number): Error | undefined
}
