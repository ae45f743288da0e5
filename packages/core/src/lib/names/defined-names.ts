import { MillraceError } from '../errors/millrace-error.ts'

/** The map that holds a kind of definition, and their name. */
interface DefinitionPlace<T, N extends string> {
  readonly into: Map<string, T>
  /** Definitions of other kinds with which it must not share a name either. */
  readonly besides?: ReadonlyMap<string, unknown>
  readonly name: N
  /** A word for everything in the map, if it is not `kind`: for messages. */
  readonly among?: string
}

/** What an app declares, with its name in its type: so programs that import the types alone know it by name. */
export type Named<T, N extends string> = T & { readonly name: N }

/** The names of what an app declares. Closed once a worker has started. */
export class DefinedNames {
  #closed = false

  /**
   * Keeps the result of `make` under a name that nothing of its kind has yet.
   *
   * @param kind what is declared, for messages: `topic`, `set table`
   * @throws `NAME_TAKEN`, `DEFINITION_LATE`
   */
  add<T, M extends T, const N extends string>(
    kind: string,
    { into, besides, name, among = kind }: DefinitionPlace<T, N>,
    make: () => M,
  ): Named<M, N> {
    const what = `${kind} "${name}"`
    if (this.#closed)
      throw new MillraceError(
        'DEFINITION_LATE',
        `${what.charAt(0).toUpperCase()}${what.slice(1)} was defined while the app was running.`,
      )
    if (into.has(name) || besides?.has(name) === true)
      throw new MillraceError('NAME_TAKEN', `The name of ${what} is taken by another ${among}.`)
    const made = make()
    into.set(name, made)
    // What is made has the name that it was given.
    return made as Named<M, N>
  }

  close(): void {
    this.#closed = true
  }
}
