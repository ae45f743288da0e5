import { type CommandDefinition, MillraceError } from '@millrace/core'
import type { Job } from '@millrace/scheduler'
import type { AnyAgent, AnyTopic } from '@millrace/streams'
import type { AnyGlobalTable, AnyTable } from '@millrace/tables'

const JOBS: readonly string[] = ['task', 'timer', 'cron job']

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
    // Tables of all kinds share stores and routes, and jobs of all kinds their records, so they share names.
    const isTable = kind.includes('table')
    if (into.has(name) || (isTable && (this.tables.has(name) || this.globalTables.has(name)))) {
      const other = isTable ? 'table' : JOBS.includes(kind) ? 'job' : kind
      throw new MillraceError('NAME_TAKEN', `The name of ${what} is taken by another ${other}.`)
    }
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
