import { MillraceError, toError } from '../errors/millrace-error.ts'

/** Who is notified of events, each of which has a name and what is given with it. */
export class Listeners<Events extends { readonly [E in keyof Events]: readonly unknown[] }> {
  readonly #names: readonly (keyof Events)[]
  readonly #failed: (event: keyof Events, error: Error) => void
  readonly #listeners: { [E in keyof Events]?: Set<(...given: Events[E]) => void> } = {}

  /** @param failed what a listener fails with is reported here, and keeps nobody else from going on */
  constructor(names: readonly (keyof Events)[], failed: (event: keyof Events, error: Error) => void) {
    this.#names = names
    this.#failed = failed
  }

  /** Calls `fn` each time; the function returned ends that. Throws `DEFINITION_INVALID` for an event that there is not. */
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
