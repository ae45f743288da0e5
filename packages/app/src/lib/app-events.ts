import { Listeners, type TopicPartition } from '@millrace/core'

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

export function appListeners(failed: (event: keyof AppEvents, error: Error) => void): Listeners<AppEvents> {
  return new Listeners(
    {
      started: new Set(),
      partitionsAssigned: new Set(),
      partitionsLost: new Set(),
      rebalanceComplete: new Set(),
      beforeStop: new Set(),
      error: new Set(),
    },
    failed,
  )
}
