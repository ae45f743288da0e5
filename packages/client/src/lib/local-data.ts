import { existsSync } from 'node:fs'
import { copyFile, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type Clock,
  errorText,
  isMillraceError,
  makeDirectory,
  MillraceError,
  packageVersion,
  type ResolvedSettings,
} from '@millrace/core'
import type { StoreDriver } from '@millrace/core/driver'
import type { Backup, LocalData, LogTransfer, OtherStore, RunningEnvironment } from '@millrace/core/operations'
import { changedFile, DRAFT, filesIn, readManifest, refused, writeManifest } from './backup-manifest.ts'

/** The folders of a backup. */
const LOG = 'log'
const STORE = 'tables'

interface LogLocation {
  readonly directory: string
  readonly clock: Clock
  readonly timeoutMs: number
}

/** What the embedded broker and the disk store know about their files. */
export interface LocalFiles {
  exportLog(
    place: LogLocation,
    write: (piece: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Omit<LogTransfer, 'directory'>>
  importLog(
    text: AsyncIterable<Buffer>,
    place: { readonly directory: string; readonly signal: AbortSignal },
  ): Promise<Omit<LogTransfer, 'directory'>>
  copyLog(place: LogLocation, directory: string): Promise<void>
  hasStore(directory: string): boolean
  backupStore(directory: string, target: string): Promise<void>
  /** Stores of other versions in a directory, or beside the one in use. */
  findOtherFormats(directory: string): readonly OtherStore[]
  removeOtherFormat(directory: string): Promise<boolean>
}

/** The app whose data is on this machine. Everything is looked up on use. */
export interface LocalApp {
  readonly surroundings: { readonly settings: ResolvedSettings; readonly clock: Clock }
  readonly drivers: {
    place(): RunningEnvironment
    /** Loaded on first use. */
    files(): Promise<LocalFiles>
  }
  /** The context of the worker that runs in this process, if any. */
  runningStore(): StoreDriver | undefined
}

/** Copies of the embedded log and the stores of an app, as complete files. */
export class AppData implements LocalData {
  readonly #app: LocalApp

  constructor(app: LocalApp) {
    this.#app = app
  }

  async exportLog(write: (piece: Buffer) => Promise<void>, signal: AbortSignal): Promise<LogTransfer> {
    const place = this.#log()
    const files = await this.#app.drivers.files()
    return { directory: place.directory, ...(await files.exportLog(place, write, signal)) }
  }

  async importLog(text: AsyncIterable<Buffer>, signal: AbortSignal): Promise<LogTransfer> {
    const { directory } = this.#log()
    const files = await this.#app.drivers.files()
    return { directory, ...(await files.importLog(text, { directory, signal })) }
  }

  /** Copy the stores first: the log copied afterwards has everything that they have absorbed. */
  async backup(directory: string, { logOnly }: { readonly logOnly: boolean }): Promise<Backup> {
    const { logDirectory } = this.#app.drivers.place()
    mustBeNamed(directory)
    const found = await entriesIn(directory)
    if (found[0] !== undefined) throw refused(`"${directory}" has "${found[0]}" in it, and takes no backup.`)
    try {
      if (!logOnly) await this.#backUpStore(join(directory, STORE))
      if (logDirectory !== undefined) await (await this.#app.drivers.files()).copyLog(this.#log(), join(directory, LOG))
      const files = await filesIn(directory)
      if (files.length === 0)
        throw refused(
          `The app keeps nothing on this machine that could be backed up: its broker is not embedded, and it has no store on disk.`,
        )
      const { settings, clock } = this.#app.surroundings
      return await writeManifest(directory, {
        version: packageVersion(import.meta.url),
        appId: settings.id,
        madeAt: clock.now(),
        files,
      })
    } catch (thrown) {
      // The directory was empty, so its content is now half a backup.
      for (const part of [STORE, LOG, DRAFT]) await rm(join(directory, part), { recursive: true, force: true })
      throw failure(thrown, `No backup could be written to "${directory}"`)
    }
  }

  async restore(directory: string): Promise<Backup> {
    mustBeNamed(directory)
    try {
      return await this.#restore(directory)
    } catch (thrown) {
      throw failure(thrown, `The backup in "${directory}" could not be restored`)
    }
  }

  async #restore(directory: string): Promise<Backup> {
    const backup = await readManifest(directory)
    const { settings } = this.#app.surroundings
    if (backup.appId !== settings.id)
      throw refused(`"${directory}" is a backup of the app "${backup.appId}", not of "${settings.id}".`)
    const changed = await changedFile(directory, backup)
    if (changed !== undefined) throw refused(`"${join(directory, changed)}" has changed since the backup was made.`)
    const copies = backup.files.map(({ path }) => ({ from: join(directory, path), to: this.#placeOf(path) }))
    const there = copies.find(({ to }) => existsSync(to))
    if (there !== undefined)
      throw refused(`"${there.to}" already exists. Stop the workers and move it away: a restore does not replace data.`)
    const begun: string[] = []
    try {
      // Write the markers last: until they exist, the next start reports that something is wrong.
      for (const { from, to } of copies.toSorted((a, b) => Number(isMarker(a.to)) - Number(isMarker(b.to)))) {
        makeDirectory(dirname(to))
        begun.push(to)
        await copyFile(from, to)
      }
    } catch (thrown) {
      for (const path of begun) await rm(path, { force: true })
      throw thrown
    }
    return backup
  }

  /** Stores of other versions, where this app keeps or would keep its own. */
  async otherStores(): Promise<readonly OtherStore[]> {
    const { dataDirectory, logDirectory, storeDirectory } = this.#app.drivers.place()
    const { findOtherFormats } = await this.#app.drivers.files()
    const above = storeDirectory === undefined ? [] : [dirname(storeDirectory)]
    const found = [dataDirectory, ...(logDirectory === undefined ? [] : [logDirectory]), ...above].flatMap(
      findOtherFormats,
    )
    return [...new Map(found.map((each) => [each.directory, each])).values()]
  }

  /** Deletes one of them. */
  async removeOtherStore({ directory }: OtherStore): Promise<void> {
    await (await this.#app.drivers.files()).removeOtherFormat(directory)
  }

  async #backUpStore(target: string): Promise<void> {
    const open = this.#app.runningStore()
    if (open !== undefined) return open.backup?.(target)
    const { storeDirectory } = this.#app.drivers.place()
    if (storeDirectory === undefined) return
    const files = await this.#app.drivers.files()
    if (!files.hasStore(storeDirectory)) return
    try {
      await files.backupStore(storeDirectory, target)
    } catch (error) {
      if (!isMillraceError(error, 'STORE_IN_USE')) throw error
      throw new MillraceError(
        'STORE_IN_USE',
        `${error.detail} Only that process can copy it, with app.backup. millrace backup --log-only copies only the log, from which stores are rebuilt.`,
        { cause: error },
      )
    }
  }

  #placeOf(path: string): string {
    const { logDirectory, storeDirectory } = this.#app.drivers.place()
    const [part = '', ...rest] = path.split('/')
    const above = part === LOG ? logDirectory : part === STORE ? storeDirectory : undefined
    if (above === undefined || rest.length !== 1 || rest[0] === undefined || rest[0] === '..')
      throw refused(
        `The backup has "${path}", and the app keeps nothing of that kind on this machine (settings broker and store).`,
      )
    return join(above, rest[0])
  }

  #log(): LogLocation {
    const { clock, settings } = this.#app.surroundings
    const { logDirectory: directory } = this.#app.drivers.place()
    if (directory === undefined)
      throw new MillraceError(
        'LOG_MISSING',
        'The broker of the app is not an embedded one on disk (setting broker, embedded:).',
      )
    return { directory, clock, timeoutMs: settings.connectTimeoutMs }
  }
}

function isMarker(path: string): boolean {
  return path.endsWith('.json')
}

function mustBeNamed(directory: string): void {
  if (directory.trim() === '') throw refused('No directory is named: name the one that the backup is in, or goes to.')
}

/** The contents of a directory, which is created if missing. */
async function entriesIn(directory: string): Promise<readonly string[]> {
  try {
    makeDirectory(directory)
    return await readdir(directory)
  } catch (thrown) {
    throw failure(thrown, `"${directory}" takes no backup`)
  }
}

/** Wraps errors of the file system; other errors explain themselves. */
function failure(thrown: unknown, what: string): Error {
  if (isMillraceError(thrown)) return thrown
  return new MillraceError('BACKUP_FAILED', `${what}: ${errorText(thrown)}.`, { cause: thrown })
}
