import { realpathSync } from 'node:fs'
import { deferred, MillraceError, type Clock, type Deferred, withinLimit } from '@millrace/core'
import type { LmdbTables } from './lmdb-tables.ts'
import type { Durability } from './marker-file.ts'
import { OpenGate, type GateHolder } from './open-gate.ts'
import { isNoRoom, touchWake } from './wake-file.ts'
import { type OpenedLog, openLog, prepareDirectory, refuseOtherDurability } from './open-log.ts'
import { newHostName } from './host-name.ts'

/** How often files are checked while a process waits for others. */
const POLL_MS = 3

const CLOSE_LIMIT_MS = 2000

export interface LeaseOptions {
  readonly directory: string
  /** The durability of a new log; an existing log must have the same. */
  readonly durability?: Durability | undefined
  readonly clock: Clock
  /** How long to wait until the processes that use the log pause. */
  readonly timeoutMs: number
}

interface OpenOptions extends LeaseOptions {
  readonly gate: OpenGate
}

/** The one LMDB environment that the transports of a process share for a directory. */
export class SharedEnvironment {
  readonly tables: LmdbTables
  readonly durability: Durability
  readonly #options: OpenOptions
  readonly #writes = new Set<Promise<unknown>>()
  #paused: Deferred<void> | undefined
  #users = 0
  #closing: Promise<void> | undefined

  private constructor(options: OpenOptions, { tables, durability }: OpenedLog) {
    this.#options = options
    this.tables = tables
    this.durability = durability
  }

  /** Opens the log while all other processes that have it open pause. Throws like `openLog`. */
  static async open(options: OpenOptions): Promise<SharedEnvironment> {
    const { directory, durability, gate } = options
    const giveUpMs = options.clock.monotonic() + options.timeoutMs
    const id = await takeGate(options, 'open', giveUpMs)
    try {
      await untilAnswered(options, id, giveUpMs)
      const opened = await openLog(directory, durability)
      gate.register()
      return new SharedEnvironment(options, opened)
    } finally {
      gate.release()
      touchWake(directory)
    }
  }

  /** Settles when it is closed; `undefined` while it is in use. */
  get closing(): Promise<void> | undefined {
    return this.#closing
  }

  join(): void {
    this.#users++
  }

  /** Closes with the last transport to leave, which has waited for its writes. */
  async leave(): Promise<void> {
    if (--this.#users > 0) return
    this.#closing = this.#close()
    await this.#closing
  }

  /** Makes a write, after a pause if there is one. */
  async write<T>(write: () => Promise<T>): Promise<T> {
    while (this.#paused !== undefined) await this.#paused.promise
    const written = write()
    this.#writes.add(written)
    try {
      return await written
    } finally {
      this.#writes.delete(written)
    }
  }

  /** Pauses if another process wants to open the log. Must be called whenever the wake file has changed. */
  attend(): void {
    if (this.#paused === undefined && this.#foreignOpener() !== undefined) void this.#pause()
  }

  async #pause(): Promise<void> {
    const { gate, clock } = this.#options
    const paused = deferred<void>()
    this.#paused = paused
    try {
      await Promise.allSettled(this.#writes)
      for (let opener = this.#foreignOpener(); opener !== undefined; opener = this.#foreignOpener()) {
        let acknowledged = false
        while (this.#foreignOpener()?.id === opener.id) {
          acknowledged ||= withRoom(() => gate.acknowledge(opener.id))
          await clock.sleep(POLL_MS)
        }
      }
    } finally {
      this.#paused = undefined
      paused.resolve()
    }
  }

  #foreignOpener(): GateHolder | undefined {
    const holder = this.#closing === undefined ? this.#options.gate.holder() : undefined
    return holder?.purpose === 'open' ? holder : undefined
  }

  async #close(): Promise<void> {
    const { gate, clock, directory } = this.#options
    // Nothing is written any more, so openers need not wait.
    gate.unregister()
    let id: string | undefined
    const giveUpMs = clock.monotonic() + CLOSE_LIMIT_MS
    const take = (): boolean => withRoom(() => void (id = gate.take('close'))) && id !== undefined
    while (!take() && clock.monotonic() < giveUpMs) await clock.sleep(POLL_MS)
    // Without the gate it stays open: that costs memory, but closing at the wrong time would cost the others their
    // locks.
    if (id === undefined) return
    try {
      // After a failed commit, LMDB's close never settles.
      await withinLimit(clock, CLOSE_LIMIT_MS, this.tables.root.close())
    } finally {
      gate.release()
      touchWake(directory)
    }
  }
}

/** Returns false if the disk is full: there may be space the next time. */
function withRoom(write: () => void): boolean {
  try {
    write()
    return true
  } catch (error) {
    if (isNoRoom(error)) return false
    throw error
  }
}

function takeGate(options: OpenOptions, purpose: GateHolder['purpose'], giveUpMs: number): Promise<string> {
  const { gate, directory } = options
  return polling(
    () => gate.take(purpose),
    () =>
      `The log in "${directory}" is being opened by ${gate.holder()?.host ?? 'another process'}. If that is no longer true, delete "${gate.path}".`,
    { ...options, giveUpMs },
  )
}

async function untilAnswered(options: OpenOptions, id: string, giveUpMs: number): Promise<void> {
  const { gate, directory } = options
  if (gate.unanswered(id).length === 0) return
  touchWake(directory)
  await polling(
    () => (gate.unanswered(id).length === 0 ? true : undefined),
    () =>
      `Processes that use the log in "${directory}" do not answer, stopped or busy for long: ${gate.unanswered(id).join(', ')}.`,
    { ...options, giveUpMs },
  )
}

/** Polls until there is a result. Throws `LOG_UNUSABLE` if that takes too long. */
async function polling<T>(
  look: () => T | undefined,
  late: () => string,
  { clock, giveUpMs }: { readonly clock: Clock; readonly giveUpMs: number },
): Promise<T> {
  for (let found = look(); ; found = look()) {
    if (found !== undefined) return found
    if (clock.monotonic() > giveUpMs) throw new MillraceError('LOG_UNUSABLE', late())
    await clock.sleep(POLL_MS)
  }
}

/**
 * State of the process, and so of this module, because LMDB opens databases in a synchronous write transaction. If a
 * log were opened again while a write through the first handle is under way, that transaction would wait for the write,
 * and the write for the event loop, for ever. So all transports of a process share one environment per directory.
 */
const environments: Map<string, Promise<SharedEnvironment>> = new Map()

/**
 * Opens the log in a directory, or joins the transports of this process that have it open. The caller must `leave` it
 * when none of its own work is under way any more. Throws like `openLog`.
 */
export async function leaseEnvironment(options: LeaseOptions): Promise<SharedEnvironment> {
  prepareDirectory(options.directory)
  const directory = realpathSync(options.directory)
  for (let known = environments.get(directory); known !== undefined; known = environments.get(directory)) {
    const environment = await known
    if (environment.closing === undefined) return join(directory, environment, options.durability)
    await environment.closing
    if (environments.get(directory) === known) environments.delete(directory)
  }
  const opening = SharedEnvironment.open({ ...options, directory, gate: new OpenGate(directory, newHostName()) })
  environments.set(directory, opening)
  try {
    return join(directory, await opening, options.durability)
  } catch (error) {
    if (environments.get(directory) === opening) environments.delete(directory)
    throw error
  }
}

function join(directory: string, environment: SharedEnvironment, wanted: Durability | undefined): SharedEnvironment {
  refuseOtherDurability(directory, environment.durability, wanted)
  environment.join()
  return environment
}
