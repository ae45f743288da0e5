import { type Clock, isMillraceError, type Logger, MillraceError, toError, withinLimit } from '@millrace/core'
import type { TransportDeps } from '@millrace/core/driver'
import { ChangeSignal } from '../log/change-signal.ts'
import type { LogBackend, LogChanges } from '../log/log-backend.ts'
import { LmdbContents } from './lmdb-contents.ts'
import { leaseEnvironment, type LeaseOptions, type SharedEnvironment } from './shared-environment.ts'
import { logError } from './open-log.ts'
import { WakeFile } from './wake-file.ts'

/** A commit waits for as long as a stopped process holds the lock. */
const CLOSE_LIMIT_MS = 2000

type BackendPlace = Pick<LeaseOptions, 'directory' | 'durability'>

interface OpenedBackend {
  readonly environment: SharedEnvironment
  readonly contents: LmdbContents
  readonly wake: WakeFile
}

/** The log in an LMDB environment that several processes share. */
export class LmdbBackend implements LogBackend {
  readonly changes: LogChanges = { records: new ChangeSignal(), groups: new ChangeSignal() }
  readonly #options: BackendPlace
  readonly #clock: Clock
  readonly #log: Logger
  readonly #writes = new Set<Promise<unknown>>()
  #opened: OpenedBackend | undefined

  constructor(options: BackendPlace, deps: TransportDeps) {
    this.#options = options
    this.#clock = deps.clock
    this.#log = deps.log
  }

  /** Waits, at most `timeoutMs`, until the other processes pause. See `openLog` for its errors. */
  async open(timeoutMs: number): Promise<void> {
    if (this.#opened !== undefined) return
    const { directory } = this.#options
    let environment: SharedEnvironment | undefined
    try {
      environment = await leaseEnvironment({ ...this.#options, clock: this.#clock, timeoutMs })
      this.#opened = {
        environment,
        contents: new LmdbContents(environment.tables, () => this.#clock.now()),
        wake: new WakeFile(directory, this.#clock, () => this.#wake()),
      }
    } catch (error) {
      await environment?.leave()
      throw isMillraceError(error) ? error : this.#failed(error, 'cannot be opened')
    }
    environment.attend()
    this.checkReaders()
  }

  read<T>(query: (contents: LmdbContents) => T): T {
    const { environment, contents } = this.#open()
    try {
      // Otherwise a snapshot lives until the end of a turn, and hides later writes of other processes.
      environment.tables.root.resetReadTxn()
      return query(contents)
    } catch (error) {
      throw isMillraceError(error) ? error : this.#failed(error, 'could not be read')
    }
  }

  async write<T>(kind: keyof LogChanges | 'quiet', change: (contents: LmdbContents) => T): Promise<T> {
    const { environment, contents, wake } = this.#open()
    const thrown: { error?: unknown } = {}
    let result: T
    try {
      // Rolls back by itself if the callback throws, unlike `transaction` and `batch`. The callback must stay
      // synchronous.
      const transaction = (): Promise<T> =>
        environment.tables.root.childTransaction(() => {
          try {
            return change(contents)
          } catch (error) {
            thrown.error = error
            throw error
          }
        })
      result = await this.#track(environment.write(transaction))
    } catch (error) {
      if (thrown.error !== undefined)
        throw isMillraceError(error) ? error : this.#failed(thrown.error, 'could not be written')
      throw this.#failed(await commitCause(error), 'could not be written')
    }
    if (kind !== 'quiet' && this.#opened !== undefined) {
      wake.touch()
      this.changes[kind].notify()
    }
    return result
  }

  /** Frees the resources of dead readers. */
  checkReaders(): void {
    const stale = this.#opened?.environment.tables.root.readerCheck() ?? 0
    if (stale > 0)
      this.#log.debug({ directory: this.#options.directory, stale }, 'Readers that died were removed from the log.')
  }

  /** Waits for the writes under way. */
  async close(): Promise<void> {
    const opened = this.#opened
    if (opened === undefined) return
    this.#opened = undefined
    opened.wake.close()
    await withinLimit(this.#clock, CLOSE_LIMIT_MS, Promise.allSettled(this.#writes))
    await opened.environment.leave()
  }

  async #track<T>(written: Promise<T>): Promise<T> {
    this.#writes.add(written)
    try {
      return await written
    } finally {
      this.#writes.delete(written)
    }
  }

  #wake(): void {
    this.#opened?.environment.attend()
    this.changes.records.notify()
    this.changes.groups.notify()
  }

  #open(): OpenedBackend {
    if (this.#opened === undefined)
      throw new MillraceError('CLOSED', `The log in "${this.#options.directory}" is closed, or not open yet.`)
    return this.#opened
  }

  #failed(error: unknown, what: string): MillraceError {
    return logError(error, `The log in "${this.#options.directory}" ${what}:`)
  }
}

/** A failed commit carries its cause in a promise that rejects, which must be handled. */
async function commitCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error
  try {
    await error.commitError
    return error
  } catch (cause) {
    return toError(cause)
  }
}
