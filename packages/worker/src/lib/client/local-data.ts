import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { copyFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  type Backup,
  type Clock,
  type LocalData,
  type LogTransfer,
  makeDirectory,
  MillraceError,
  type OtherStore,
  packageVersion,
  PRIVATE_FILE,
  refuseNewer,
  type ResolvedSettings,
  type RunningPlace,
  type StoreDriver,
} from '@millrace/core'

/** Written last: a backup without it is not whole. */
const MANIFEST = 'millrace-backup.json'
const FORMAT = 1
/** What is where in a backup. */
const LOG = 'log'
const STORE = 'tables'

interface LogPlace {
  readonly directory: string
  readonly clock: Clock
  readonly timeoutMs: number
}

/** What the embedded broker and the store on disk know of their files. */
export interface LocalFiles {
  exportLog(
    place: LogPlace,
    write: (piece: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Omit<LogTransfer, 'directory'>>
  importLog(
    text: AsyncIterable<Buffer>,
    place: { readonly directory: string; readonly signal: AbortSignal },
  ): Promise<Omit<LogTransfer, 'directory'>>
  copyLog(place: LogPlace, directory: string): Promise<void>
  hasStore(directory: string): boolean
  backupStore(directory: string, target: string): Promise<void>
  /** Stores of other versions in a directory, or beside the one in use. */
  findOtherFormats(directory: string): readonly OtherStore[]
  removeOtherFormat(directory: string): Promise<boolean>
}

/** The app that keeps something on this machine. Everything is looked up when it is used. */
export interface LocalApp {
  readonly surroundings: { readonly settings: ResolvedSettings; readonly clock: Clock }
  readonly drivers: {
    place(): RunningPlace
    /** Loaded when something is asked of them. */
    files(): Promise<LocalFiles>
  }
  /** Of the worker that runs in this process, if there is one. */
  runningStore(): StoreDriver | undefined
}

/** The embedded log and the stores of an app, as whole files. */
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

  /** The stores first: the log then has all that they have absorbed. */
  async backup(directory: string, { logOnly }: { readonly logOnly: boolean }): Promise<Backup> {
    const { logDirectory } = this.#app.drivers.place()
    makeDirectory(directory)
    const [found] = await readdir(directory)
    if (found !== undefined) throw refused(`"${directory}" has "${found}" in it, and takes no backup.`)
    try {
      if (!logOnly) await this.#backUpStore(join(directory, STORE))
      if (logDirectory !== undefined) await (await this.#app.drivers.files()).copyLog(this.#log(), join(directory, LOG))
      const files = await filesIn(directory)
      if (files.length === 0)
        throw refused(
          `The app keeps nothing on this machine that could be backed up: its broker is no embedded one, and it has no store on disk.`,
        )
      const { surroundings } = this.#app
      const manifest: Backup = {
        version: packageVersion(import.meta.url),
        appId: surroundings.settings.id,
        madeAt: surroundings.clock.now(),
        files,
      }
      const draft = join(directory, `${MANIFEST}.new`)
      await writeFile(draft, `${JSON.stringify({ format: FORMAT, ...manifest }, undefined, 2)}\n`, {
        mode: PRIVATE_FILE,
      })
      await rename(draft, join(directory, MANIFEST))
      return manifest
    } catch (thrown) {
      // It was empty: what is in it now is half a backup.
      for (const part of [STORE, LOG]) await rm(join(directory, part), { recursive: true, force: true })
      throw thrown
    }
  }

  async restore(directory: string): Promise<Backup> {
    const backup = await readManifest(directory)
    const { settings } = this.#app.surroundings
    if (backup.appId !== settings.id)
      throw refused(`"${directory}" is a backup of the app "${backup.appId}", not of "${settings.id}".`)
    const changed = await changedFile(directory, backup)
    if (changed !== undefined) throw refused(`"${join(directory, changed)}" is not as it was when the backup was made.`)
    const copies = backup.files.map(({ path }) => ({ from: join(directory, path), to: this.#placeOf(path) }))
    const there = copies.find(({ to }) => existsSync(to))
    if (there !== undefined)
      throw refused(
        `"${there.to}" is there already. Stop the workers and move it away: a backup is not laid over other data.`,
      )
    // Markers last: until they are there, the next start says that something is wrong.
    for (const { from, to } of copies.toSorted((a, b) => Number(isMarker(a.to)) - Number(isMarker(b.to)))) {
      makeDirectory(dirname(to))
      await copyFile(from, to)
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
    if (files.hasStore(storeDirectory)) await files.backupStore(storeDirectory, target)
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

  #log(): LogPlace {
    const { clock, settings } = this.#app.surroundings
    const { logDirectory: directory } = this.#app.drivers.place()
    if (directory === undefined)
      throw new MillraceError(
        'LOG_MISSING',
        'The broker of the app is no embedded one on disk (setting broker, embedded:).',
      )
    return { directory, clock, timeoutMs: settings.connectTimeoutMs }
  }
}

async function filesIn(directory: string): Promise<Backup['files']> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : [])).sort()
  const files: Backup['files'][number][] = []
  for (const path of paths)
    // LMDB's locks are of the process that made the copy.
    if (!/lock(\.mdb)?$/.test(path))
      files.push({ path: relative(directory, path).replaceAll(sep, '/'), ...(await digestOf(path)) })
  return files
}

async function digestOf(path: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const digest = createHash('sha256')
  let bytes = 0
  await pipeline(createReadStream(path), async (pieces: AsyncIterable<Buffer>) => {
    for await (const piece of pieces) {
      digest.update(piece)
      bytes += piece.length
    }
  })
  return { bytes, sha256: digest.digest('hex') }
}

/** The first file that is gone or has changed. */
async function changedFile(directory: string, { files }: Backup): Promise<string | undefined> {
  for (const { path, sha256 } of files) {
    const file = join(directory, path)
    if (!existsSync(file) || (await digestOf(file)).sha256 !== sha256) return path
  }
  return undefined
}

async function readManifest(directory: string): Promise<Backup> {
  const path = join(directory, MANIFEST)
  if (!existsSync(path)) throw refused(`"${path}" is missing: "${directory}" is no backup, or not a whole one.`)
  const manifest = parse(await readFile(path, 'utf8'))
  if (manifest === undefined) throw refused(`"${path}" cannot be read.`)
  refuseNewer(`The backup in "${directory}"`, manifest.format, FORMAT)
  return manifest
}

function parse(text: string): (Backup & { readonly format: unknown }) | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isManifest(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isManifest(value: unknown): value is Backup & { readonly format: unknown } {
  if (typeof value !== 'object' || value === null || !('format' in value)) return false
  return 'appId' in value && 'files' in value && Array.isArray(value.files) && value.files.every(isFile)
}

function isFile(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('path' in value) || !('sha256' in value)) return false
  return typeof value.path === 'string' && typeof value.sha256 === 'string'
}

function isMarker(path: string): boolean {
  return path.endsWith('.json')
}

function refused(detail: string): MillraceError {
  return new MillraceError('BACKUP_REFUSED', detail)
}
