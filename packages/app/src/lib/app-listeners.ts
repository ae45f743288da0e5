import type { AppEvents } from './app-events.ts'

type Listeners = { readonly [E in keyof AppEvents]: Set<(...told: AppEvents[E]) => void> }

/** Who wants to know what happens to the app's workers. */
export class AppListeners {
  readonly #listeners: Listeners = {
    started: new Set(),
    partitionsAssigned: new Set(),
    partitionsLost: new Set(),
    rebalanceComplete: new Set(),
    beforeStop: new Set(),
    error: new Set(),
  }

  /** Calls `fn` each time; the function returned ends that. */
  on<E extends keyof AppEvents>(event: E, fn: (...told: AppEvents[E]) => void): () => void {
    const listeners = this.#listeners[event]
    listeners.add(fn)
    return () => void listeners.delete(fn)
  }

  tell<E extends keyof AppEvents>(event: E, ...told: AppEvents[E]): void {
    for (const listener of this.#listeners[event]) listener(...told)
  }
}
