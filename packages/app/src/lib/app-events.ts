import { toError, type TopicPartition } from '@millrace/core'

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

type Listeners = { readonly [E in keyof AppEvents]: Set<(...given: AppEvents[E]) => void> }

/** Who is notified of what happens to the app's workers. */
export class AppListeners {
  readonly #failed: (event: keyof AppEvents, error: Error) => void
  readonly #listeners: Listeners = {
    started: new Set(),
    partitionsAssigned: new Set(),
    partitionsLost: new Set(),
    rebalanceComplete: new Set(),
    beforeStop: new Set(),
    error: new Set(),
  }

  constructor(failed: (event: keyof AppEvents, error: Error) => void) {
    this.#failed = failed
  }

  /** Calls `fn` each time; the function returned ends that. */
  on<E extends keyof AppEvents>(event: E, fn: (...given: AppEvents[E]) => void): () => void {
    const listeners = this.#listeners[event]
    listeners.add(fn)
    return () => void listeners.delete(fn)
  }

  /** What a listener fails with is reported, and keeps neither the other listeners nor a stop from going on. */
  notify<E extends keyof AppEvents>(event: E, ...given: AppEvents[E]): void {
    for (const listener of this.#listeners[event])
      (async () => listener(...given))().catch((thrown: unknown) => this.#failed(event, toError(thrown)))
  }
}
