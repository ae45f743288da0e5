import { realpathSync } from 'node:fs'
import type { LmdbTables } from './lmdb-tables.ts'
import type { Durability } from './marker-file.ts'
import { openLog, prepareDirectory, refuseOtherDurability } from './open-log.ts'

interface Environment {
  readonly tables: LmdbTables
  readonly durability: Durability
  users: number
  closing: Promise<void> | undefined
}

/** The use of an environment, to be given back when nothing of it is under way any more. */
export interface TablesLease {
  readonly tables: LmdbTables
  /** Closes the environment after its last user. */
  release(close: (tables: LmdbTables) => Promise<void>): Promise<void>
}

/**
 * State of the process, and so of this module: LMDB opens databases in a synchronous write transaction. Were a log
 * opened once more while a write through the first handle is under way, that transaction would wait for the write and
 * the write for the event loop, for ever. So all transports of a process share one handle for each directory.
 */
const environments: Map<string, Environment> = new Map()

/** Opens the log in a directory, or joins the transports of this process that have. Throws as `openLog` does. */
export async function leaseTables(directory: string, wanted: Durability | undefined): Promise<TablesLease> {
  prepareDirectory(directory)
  const path = realpathSync(directory)
  for (let open = environments.get(path); open?.closing !== undefined; open = environments.get(path)) await open.closing
  let environment = environments.get(path)
  if (environment === undefined) {
    environment = { ...openLog(path, wanted), users: 0, closing: undefined }
    environments.set(path, environment)
  }
  refuseOtherDurability(path, environment.durability, wanted)
  environment.users++
  return lease(path, environment)
}

function lease(path: string, environment: Environment): TablesLease {
  let released = false
  return {
    tables: environment.tables,
    release: async (close) => {
      if (released) return
      released = true
      if (--environment.users > 0) return
      environment.closing = close(environment.tables).finally(() => environments.delete(path))
      await environment.closing
    },
  }
}
