import type { TopicPartition } from '@millrace/core'

/** The events of `app.on`. Assigned and lost partitions are reported after the rebalance, once they are known. */
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
  /** `stop` was called; events in flight still have to finish. */
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
