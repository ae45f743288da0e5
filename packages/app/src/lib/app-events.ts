import type { TopicPartition } from '@millrace/core'

/** What `app.on` tells. Assigned and lost are told after the rebalance, when they are known. */
export interface AppEvents {
  /** The worker has joined and recovered. */
  started: []
  partitionsAssigned: [partitions: readonly TopicPartition[]]
  partitionsLost: [partitions: readonly TopicPartition[]]
  rebalanceComplete: [
    change: {
      readonly lost: readonly TopicPartition[]
      readonly kept: readonly TopicPartition[]
      readonly gained: readonly TopicPartition[]
    },
  ]
  /** `stop` was called; events in hand are still to finish. */
  beforeStop: []
  /** The error that ended the worker. */
  error: [error: Error]
}
