import type { TopicPartition } from '@millrace/core'

/** What `app.on` notifies of. Assigned and lost come after the rebalance, when they are known. */
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
  /** `stop` was called; events in flight are still to finish. */
  beforeStop: []
  /** The error that ended the worker. */
  error: [error: Error]
}

export const APP_EVENTS: readonly (keyof AppEvents)[] = [
  'started',
  'partitionsAssigned',
  'partitionsLost',
  'rebalanceComplete',
  'beforeStop',
  'error',
]
