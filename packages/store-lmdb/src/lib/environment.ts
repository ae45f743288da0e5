import { randomUUID } from 'node:crypto'
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { hasSystemCode, makeDirectory, MillraceError, PRIVATE_FILE, toError } from '@millrace/core'
import { open, type RootDatabase } from 'lmdb'
import { DamageFound } from './data-file/data-file.ts'
import { inspectDataFile, type Inspection, OWNER } from './data-file/inspect.ts'
import { StoreFacts } from './facts.ts'
import { hasMarker, writeMarker } from './marker-file.ts'
import { storeError } from './store-error.ts'

/** How many table partitions one directory can hold. */
const MAX_DATABASES = 4096
/**
 * The page size of a new data file. LMDB keeps the pages of a commit in a sorted list, and each insertion moves the
 * rest, so fewer, larger pages are faster: restoring 1 M rows in random order takes a quarter less than with the usual
 * 4,096. Commits of few rows take no longer; beyond 8,192 they do.
 */
const PAGE_SIZE = 8192

/** An open LMDB environment that belongs to this process alone. */
export interface Environment {
  readonly root: RootDatabase<Buffer, Buffer>
  readonly dataPath: string
  /** The contents of the file when it was opened. Names of tables' databases contain a `/`. */
  readonly inspection: Inspection
  readonly facts: StoreFacts
  readonly ownership: Ownership
}

/** Opens or creates the environment in a directory. Throws `STORE_IN_USE`, `STORE_CORRUPT`, `STORE_VERSION`, `STORE_FAILED`. */
export function openEnvironment(directory: string): Environment {
  const what = `The store in "${directory}" cannot be opened`
  try {
    prepareDirectory(directory)
    const marked = hasMarker(directory)
    const dataPath = join(directory, 'data.mdb')
    if (existsSync(dataPath)) inspect(directory, dataPath)
    else if (marked) throw new MillraceError('STORE_CORRUPT', `"${dataPath}" is missing.`)
    const root = openRoot(directory)
    try {
      if (!marked) for (const file of ['data.mdb', 'lock.mdb']) chmodSync(join(directory, file), PRIVATE_FILE)
      const facts = new StoreFacts(root)
      const ownership = takeOwnership({ root, facts, directory })
      if (!marked) writeMarker(directory)
      // Inspected again, because another process may have had the file since the first inspection.
      return { root, dataPath, inspection: inspect(directory, dataPath), facts, ownership }
    } catch (thrown) {
      // Nothing was written that could be lost; the first error matters, and not why closing fails.
      root.close().catch(() => undefined)
      throw thrown
    }
  } catch (thrown) {
    throw storeError(thrown, what)
  }
}

function openRoot(directory: string): RootDatabase<Buffer, Buffer> {
  return open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    pageSize: PAGE_SIZE,
    maxDbs: MAX_DATABASES,
    encoding: 'binary',
    keyEncoding: 'binary',
    // Otherwise a failing commit rejects a promise that no caller has, and Node ends the process.
    eventTurnBatching: false,
    // Rows are read only once they are on the disk.
    overlappingSync: false,
  })
}

function prepareDirectory(directory: string): void {
  try {
    makeDirectory(directory)
  } catch (thrown) {
    const { message } = toError(thrown)
    throw new MillraceError(
      'STORE_FAILED',
      `"${directory}" (setting store, storeDirectory or dataDirectory) cannot be the directory of a store: ${message}.`,
      { cause: thrown },
    )
  }
}

function inspect(directory: string, dataPath: string): Inspection {
  const finding = inspectDataFile(dataPath)
  if (finding === 'in use')
    throw new MillraceError('STORE_IN_USE', `The store in "${directory}" is being written by another process.`)
  if (finding instanceof DamageFound)
    throw new MillraceError('STORE_CORRUPT', `"${dataPath}" is damaged: ${finding.message}.`)
  return finding
}

const WORKER_ID = 'worker-id'

export interface OwnershipOptions {
  readonly root: RootDatabase<Buffer, Buffer>
  readonly facts: StoreFacts
  readonly directory: string
}

/** The store's directory belongs to this process until `release`. */
export interface Ownership {
  /** Made once for a directory and kept in it, so it identifies the same worker after every restart. */
  readonly workerId: string
  /** Gives the directory another id from its next opening on. */
  renew(): void
  /** Reads once, because some calls remove this process from LMDB's table of readers. */
  stay(): void
  release(): void
}

/**
 * Takes the store for this process, or throws `STORE_IN_USE`. A row names the owner; LMDB's table of readers, backed by
 * the kernel's file locks, shows whether the owner lives. Process numbers would not do: they have no meaning in another
 * container, and are reused.
 */
export function takeOwnership({ root, facts, directory }: OwnershipOptions): Ownership {
  const self = `process ${process.pid} on ${hostname()}, started at ${new Date(performance.timeOrigin).toISOString()}`
  // Enters this process in the table of readers, where others can see it.
  facts.get(OWNER)
  root.readerCheck()
  const workerId = root.transactionSync(() => {
    const owner = facts.get(OWNER)
    if (owner !== undefined && (owner === self || readers(root.readerList()) > 1)) {
      throw new MillraceError(
        'STORE_IN_USE',
        `The store in "${directory}" is used by ${owner === self ? 'this process' : owner}.`,
      )
    }
    const kept = facts.get(WORKER_ID) ?? randomUUID()
    facts.put(OWNER, self)
    facts.put(WORKER_ID, kept)
    return kept
  })
  const stay = (): void => void facts.get(OWNER)
  stay()
  const renew = (): void => root.transactionSync(() => facts.put(WORKER_ID, randomUUID()))
  return { workerId, renew, stay, release: () => root.transactionSync(() => facts.remove(OWNER)) }
}

/**
 * Throws `STORE_IN_USE` if the process that has a store lives on this machine. Reads only the file, because opening it
 * with LMDB could revert a concurrent commit of the owner.
 */
export function refuseLiveOwner(directory: string): void {
  if (!hasMarker(directory)) return
  const { owner } = inspect(directory, join(directory, 'data.mdb'))
  const [, pid, host] = /^process (\d+) on (.*), started at /.exec(owner ?? '') ?? []
  if (pid === undefined || host !== hostname() || Number(pid) === process.pid || !isAlive(Number(pid))) return
  throw new MillraceError('STORE_IN_USE', `The store in "${directory}" is used by ${owner}.`)
}

/** Removes the owner from a fresh copy of a store, which no other process may use yet. */
export async function disown(directory: string): Promise<void> {
  const root = openRoot(directory)
  try {
    const facts = new StoreFacts(root)
    root.transactionSync(() => facts.remove(OWNER))
  } finally {
    await root.close()
    rmSync(join(directory, 'lock.mdb'), { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (thrown) {
    // A process of another user is alive, too.
    return hasSystemCode(thrown, 'EPERM')
  }
}

/** Lines of the list after its heading; one of them is this process. */
function readers(list: string): number {
  return list.split('\n').filter((line) => /^\s*\d+\s/.test(line)).length
}
