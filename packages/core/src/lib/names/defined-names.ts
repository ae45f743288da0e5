import { MillraceError } from '../errors/millrace-error.ts'

/** The map that holds a kind of definition, and their name. */
interface DefinitionPlace<T> {
  readonly into: Map<string, T>
  /** Definitions of other kinds with which it must not share a name either. */
  readonly besides?: ReadonlyMap<string, unknown>
  readonly name: string
  /** A word for everything in the map, if it is not `kind`: for messages. */
  readonly among?: string
}

/** The names of what an app declares. Closed once a worker has started. */
export class DefinedNames {
  #closed = false

  /**
   * Keeps the result of `make` under a name that nothing of its kind has yet.
   *
   * @param kind what is declared, for messages: `topic`, `set table`
   * @throws `NAME_TAKEN`, `DEFINITION_LATE`
   */
  add<T, M extends T>(kind: string, { into, besides, name, among = kind }: DefinitionPlace<T>, make: () => M): M {
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
    return made
  }

  close(): void {
    this.#closed = true
  }
}
