import { MillraceError, toError } from '../errors/millrace-error.ts'

/** Who is notified of events, each of which has a name and what is given with it. */
export class Listeners<Events extends { readonly [E in keyof Events]: readonly unknown[] }> {
  readonly #failed: (event: keyof Events, error: Error) => void
  readonly #listeners: { readonly [E in keyof Events]: Set<(...given: Events[E]) => void> }

  /** @param failed what a listener fails with is reported here, and keeps nobody else from going on */
  constructor(
    listeners: { readonly [E in keyof Events]: Set<(...given: Events[E]) => void> },
    failed: (event: keyof Events, error: Error) => void,
  ) {
    this.#listeners = listeners
    this.#failed = failed
  }

  /** Calls `fn` each time; the function returned ends that. Throws `DEFINITION_INVALID` for an event that there is not. */
  on<E extends keyof Events>(event: E, fn: (...given: Events[E]) => void): () => void {
    if (!Object.hasOwn(this.#listeners, event))
      throw new MillraceError(
        'DEFINITION_INVALID',
        `There is no event "${String(event)}"; there are ${Object.keys(this.#listeners).join(', ')}.`,
      )
    const listeners = this.#listeners[event]
    listeners.add(fn)
    return () => void listeners.delete(fn)
  }

  notify<E extends keyof Events>(event: E, ...given: Events[E]): void {
    for (const listener of this.#listeners[event])
      (async () => listener(...given))().catch((thrown: unknown) => this.#failed(event, toError(thrown)))
  }
}
