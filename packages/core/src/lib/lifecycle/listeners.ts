import { MillraceError, toError } from '../errors/millrace-error.ts'

/** The listeners to events, each of which has a name and arguments. */
export class Listeners<Events extends { readonly [E in keyof Events]: readonly unknown[] }> {
  readonly #names: readonly (keyof Events)[]
  readonly #failed: (event: keyof Events, error: Error) => void
  readonly #listeners: { [E in keyof Events]?: Set<(...given: Events[E]) => void> } = {}

  /** @param failed called with the error of a listener, which does not affect the others */
  constructor(names: readonly (keyof Events)[], failed: (event: keyof Events, error: Error) => void) {
    this.#names = names
    this.#failed = failed
  }

  /**
   * Calls `fn` at each event, until the returned function is called. Throws `DEFINITION_INVALID` for an unknown event.
   */
  on<E extends keyof Events>(event: E, fn: (...given: Events[E]) => void): () => void {
    if (!this.#names.includes(event))
      throw new MillraceError(
        'DEFINITION_INVALID',
        `There is no event "${String(event)}"; there are ${this.#names.join(', ')}.`,
      )
    const listeners = (this.#listeners[event] ??= new Set())
    listeners.add(fn)
    return () => void listeners.delete(fn)
  }

  notify<E extends keyof Events>(event: E, ...given: Events[E]): void {
    for (const listener of this.#listeners[event] ?? [])
      (async () => listener(...given))().catch((thrown: unknown) => this.#failed(event, toError(thrown)))
  }
}
