import { type CommandDefinition, MillraceError } from '@millrace/core'
import type { Job } from '@millrace/scheduler'
import type { AnyAgent, AnyTopic } from '@millrace/streams'
import type { AnyGlobalTable, AnyTable } from '@millrace/tables'

/** What the app file has declared, by name and in order. Closed once a worker has started. */
export class Definitions {
  readonly topics: Map<string, AnyTopic> = new Map()
  readonly agents: Map<string, AnyAgent> = new Map()
  readonly tables: Map<string, AnyTable> = new Map()
  readonly globalTables: Map<string, AnyGlobalTable> = new Map()
  readonly jobs: Map<string, Job> = new Map()
  readonly commands: Map<string, CommandDefinition> = new Map()
  #closed = false

  /** @throws `NAME_TAKEN`, `DEFINITION_LATE` */
  add<T, M extends T>(
    kind: string,
    { into, name }: { readonly into: Map<string, T>; readonly name: string },
    make: () => M,
  ): M {
    const what = `${kind} "${name}"`
    if (this.#closed)
      throw new MillraceError('DEFINITION_LATE', `${capital(what)} was defined while the app was running.`)
    // Tables of all kinds share stores and routes, so they share names.
    const taken = into.has(name) || (kind.includes('table') && (this.tables.has(name) || this.globalTables.has(name)))
    if (taken) throw new MillraceError('NAME_TAKEN', `There is a ${what} already.`)
    const made = make()
    into.set(name, made)
    return made
  }

  close(): void {
    this.#closed = true
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
