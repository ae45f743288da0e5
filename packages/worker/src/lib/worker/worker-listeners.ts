import type { WorkerEvents } from './worker.ts'

type Listener<E extends keyof WorkerEvents> = (change: WorkerEvents[E]) => void

/** Who wants to hear of rebalances. */
export class WorkerListeners {
  readonly #partitionsAssigned = new Set<Listener<'partitionsAssigned'>>()
  readonly #partitionsLost = new Set<Listener<'partitionsLost'>>()
  readonly #rebalanceComplete = new Set<Listener<'rebalanceComplete'>>()
  readonly #onError: (thrown: unknown) => void

  /** `onError`: what a listener has thrown. */
  constructor(onError: (thrown: unknown) => void) {
    this.#onError = onError
  }

  on<E extends keyof WorkerEvents>(event: E, listener: Listener<E>): () => void {
    const listeners = this.#of(event)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  notify(change: WorkerEvents['rebalanceComplete']): void {
    if (change.lost.length > 0) this.#notifyAll(this.#partitionsLost, change.lost)
    if (change.gained.length > 0) this.#notifyAll(this.#partitionsAssigned, change.gained)
    this.#notifyAll(this.#rebalanceComplete, change)
  }

  #of<E extends keyof WorkerEvents>(event: E): Set<Listener<E>> {
    const all: { readonly [K in keyof WorkerEvents]: Set<Listener<K>> } = {
      partitionsAssigned: this.#partitionsAssigned,
      partitionsLost: this.#partitionsLost,
      rebalanceComplete: this.#rebalanceComplete,
    }
    return all[event]
  }

  #notifyAll<C>(listeners: ReadonlySet<(change: C) => void>, change: C): void {
    for (const listener of listeners) {
      try {
        listener(change)
      } catch (thrown) {
        this.#onError(thrown)
      }
    }
  }
}
