import { chmodSync, readdirSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import {
  makeDirectory,
  MillraceError,
  partitionKey,
  PRIVATE_FILE,
  systemClock,
  toError,
  withinLimit,
} from '@millrace/core'
import type { Checkpoint, StoreChange, StoreDriver, StorePartition } from '@millrace/core/driver'
import type { Database } from 'lmdb'
import { checkPartition } from './data-file/inspect.ts'
import { seedOf } from './checked-row.ts'
import { checkpointName, keptCheckpoint, databaseName, leaveDatabase } from './facts.ts'
import { disown, openEnvironment, refuseLiveOwner, type Environment } from './environment.ts'
import { LmdbPartition } from './lmdb-partition.ts'
import { writeMarker } from './marker-file.ts'
import { storeError } from './store-error.ts'

/** After a failed commit LMDB may never settle its promises. */
const LIMIT_MS = 2000
const MEGABYTE = 1024 * 1024

export interface LmdbStoreOptions {
  /** On a local disk; created if it is missing. Belongs to one worker at a time. */
  readonly directory: string
}

/** A store driver that also keeps the worker's id. */
export interface LmdbStore extends StoreDriver {
  /** Made once for the directory, so it identifies the same worker after every restart, for static membership. */
  readonly workerId: string
  /** @throws `STORE_FAILED` when the directory is not empty, or has no room */
  backup(directory: string): Promise<void>
}

/**
 * Table state on disk: a worker that was killed finds its rows again and reads only the end of the changelogs. It is
 * one LMDB environment with a database for each table partition; each commit is one transaction, on disk when it
 * resolves.
 *
 * @throws `STORE_IN_USE` when another process, or another store of this one, has the directory; `STORE_CORRUPT`,
 * `STORE_VERSION`, `STORE_FAILED`
 * @example
 * const store = createLmdbStore({ directory: './.millrace/tables' })
 */
export function createLmdbStore(options: LmdbStoreOptions): LmdbStore {
  return new DirectoryStore(options.directory)
}

/**
 * Copies the store of a directory that no process has open into another directory, which must be empty or missing. An
 * open store copies itself (`LmdbStore.backup`).
 *
 * @throws `STORE_IN_USE` when a process has it; what `createLmdbStore` and `backup` throw
 */
export async function backupStore(directory: string, target: string): Promise<void> {
  refuseLiveOwner(directory)
  const store = createLmdbStore({ directory })
  try {
    await store.backup(target)
  } finally {
    await store.close()
  }
}

interface PartitionDatabase {
  readonly rows: Database<Buffer, Buffer>
  /** The seed of its rows' checksums. */
  readonly seed: number
}

class DirectoryStore implements LmdbStore {
  readonly capabilities: StoreDriver['capabilities']
  readonly workerId: string
  readonly #directory: string
  readonly #environment: Environment
  readonly #open = new Map<string, LmdbPartition>()
  readonly #opening = new Set<string>()
  /**
   * Databases that were checked. They stay open as long as the environment, because closing one during a transaction is
   * not safe.
   */
  readonly #databases = new Map<string, PartitionDatabase>()
  #writing: Promise<unknown> = Promise.resolve()
  #failure: MillraceError | undefined
  #closing: Promise<void> | undefined

  constructor(directory: string) {
    this.#directory = directory
    this.#environment = openEnvironment(directory)
    this.workerId = this.#environment.ownership.workerId
    this.capabilities = Object.freeze({ name: 'lmdb', durable: true, workerId: this.workerId })
  }

  async open(table: string, partition: number): Promise<StorePartition> {
    this.#assertOpen()
    const name = partitionKey({ topic: table, partition })
    if (this.#open.has(name) || this.#opening.has(name))
      throw new MillraceError('STORE_IN_USE', `Partition ${partition} of table "${table}" is open already.`)
    this.#opening.add(name)
    try {
      const kept = this.#databases.get(name)
      const damage = kept === undefined ? await this.#leaveDamaged({ table, partition }) : undefined
      this.#assertOpen()
      const { rows, seed } = kept ?? this.#database(name)
      const opened = new LmdbPartition({
        table,
        partition,
        environment: this.#environment,
        rows,
        seed,
        damage,
        write: (action) => this.#transaction(action),
        onClose: () => this.#open.delete(name),
      })
      this.#open.set(name, opened)
      return opened
    } finally {
      this.#opening.delete(name)
    }
  }

  checkpoint(table: string, partition: number): Checkpoint | undefined {
    this.#assertOpen()
    return keptCheckpoint(this.#environment.facts, { table, partition })
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    this.#assertOpen()
    const writes = changes.map((change) => ({ change, target: this.#own(change.partition) }))
    if (writes.length === 0) return
    await this.#transaction(() => {
      for (const { change, target } of writes) target.put(change.rows, change.checkpoint)
    })
  }

  async renewWorkerId(): Promise<void> {
    this.#assertOpen()
    this.#environment.ownership.renew()
  }

  async backup(directory: string): Promise<void> {
    this.#assertOpen()
    const what = `The store in "${this.#directory}" cannot be copied to "${directory}"`
    const { root, ownership } = this.#environment
    try {
      makeDirectory(directory)
      const [found] = readdirSync(directory)
      if (found !== undefined) throw new Error(`"${found}" is in there`)
      const copied = root.backup(directory, true)
      this.#writing = Promise.allSettled([this.#writing, copied])
      await copied
      ownership.stay()
      await disown(directory)
      chmodSync(join(directory, 'data.mdb'), PRIVATE_FILE)
      writeMarker(directory)
    } catch (thrown) {
      throw storeError(thrown, what)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const partition of this.#open.values()) partition.shut()
    this.#open.clear()
    await this.#writing
    const { root, ownership } = this.#environment
    if (this.#failure === undefined) {
      ownership.release()
      return root.close()
    }
    // The disk may be full: a remaining row names the last owner, and does no harm.
    await settled(() => ownership.release())
    await settled(() => root.close())
  }

  /** All or nothing: `childTransaction` is the asynchronous call that rolls back if its callback throws. */
  async #transaction(action: () => void): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    const { root, ownership } = this.#environment
    const written = root.childTransaction(action).then(
      () => {
        // The snapshot of this turn's reads may be older.
        root.resetReadTxn()
        ownership.stay()
      },
      async (thrown: unknown) => {
        this.#failure = storeError(
          await causeOf(thrown),
          `The store in "${this.#directory}" cannot be written (${roomLeft(this.#directory)})`,
        )
        throw this.#failure
      },
    )
    this.#writing = Promise.allSettled([this.#writing, written])
    await written
  }

  /**
   * Checks a whole partition when it is opened for the first time. A damaged one is not used again: its rows are
   * rebuilt from the changelog in another database, because LMDB must not delete damaged pages.
   */
  async #leaveDamaged({ table, partition }: Pick<StorePartition, 'table' | 'partition'>): Promise<string | undefined> {
    const { dataPath, inspection, facts } = this.#environment
    const name = partitionKey({ topic: table, partition })
    const database = databaseName(name, facts)
    const isThere = inspection.trees.has(database)
    if (!isThere && facts.get(checkpointName(table, partition)) === undefined) return undefined
    const damage = isThere
      ? await checkPartition({ path: dataPath, database, inspection }).catch((thrown: unknown) => {
          throw storeError(thrown, `The store in "${this.#directory}" cannot be read`)
        })
      : 'they are missing'
    if (damage === undefined) return undefined
    this.#assertOpen()
    await this.#transaction(() => {
      facts.remove(checkpointName(table, partition))
      leaveDatabase(name, facts)
    })
    return `the rows in "${dataPath}" are damaged: ${damage}`
  }

  #database(name: string): PartitionDatabase {
    const { root, facts, ownership } = this.#environment
    try {
      const database = databaseName(name, facts)
      const rows = root.openDB<Buffer, Buffer>({ name: database, encoding: 'binary', keyEncoding: 'binary' })
      const opened = { rows, seed: seedOf(database) }
      this.#databases.set(name, opened)
      ownership.stay()
      return opened
    } catch (thrown) {
      throw storeError(thrown, `The store in "${this.#directory}" cannot hold partition ${name}`)
    }
  }

  /** All partitions are checked before any is written. */
  #own(partition: StorePartition): LmdbPartition {
    const own = this.#open.get(partitionKey({ topic: partition.table, partition: partition.partition }))
    if (own !== undefined && own === partition) return own
    throw new MillraceError(
      'CLOSED',
      `Partition ${partition.partition} of table "${partition.table}" is not open in this store.`,
    )
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new MillraceError('CLOSED', `The store in "${this.#directory}" is closed.`)
  }
}

/** Runs something that may fail or hang, now that everything else has failed. */
async function settled(action: () => unknown): Promise<void> {
  const attempt = new Promise((resolve) => resolve(action()))
  await withinLimit(systemClock(), LIMIT_MS, attempt).catch(() => undefined)
}

/** LMDB calls a full disk an input/output error. */
function roomLeft(directory: string): string {
  try {
    const { bavail, bsize } = statfsSync(directory)
    return `${Math.floor((bavail * bsize) / MEGABYTE)} MB left on its disk`
  } catch (thrown) {
    return toError(thrown).message
  }
}

/** The cause of a failed commit. It comes as a promise that rejects; unhandled, that would end the process. */
async function causeOf(thrown: unknown): Promise<unknown> {
  if (!(thrown instanceof Error) || !('commitError' in thrown) || !(thrown.commitError instanceof Promise))
    return thrown
  let cause: unknown = thrown
  await settled(() => Promise.resolve(thrown.commitError).catch((error: unknown) => (cause = error)))
  return cause
}
