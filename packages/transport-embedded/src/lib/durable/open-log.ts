import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isMillraceError, makeDirectory, MillraceError } from '@millrace/core'
import { checkDataFile } from './check-data-file.ts'
import { checkTables, openTables, type LmdbTables } from './lmdb-tables.ts'
import { createMarker, readMarker, type Durability } from './marker-file.ts'

/** The result of `openLog`. */
export interface OpenedLog {
  readonly tables: LmdbTables
  readonly durability: Durability
}

/**
 * Opens or creates the log in a directory. Throws `LOG_UNUSABLE` if the directory cannot be used, `LOG_VERSION` for a
 * log of another format, `LOG_CORRUPT` for a damaged one (on which LMDB would end the process), or one with damaged
 * rows other than records. No other process may write or open the log meanwhile: see `OpenGate`.
 */
export async function openLog(directory: string, wanted: Durability | undefined): Promise<OpenedLog> {
  const marker = readMarker(directory)
  const data = dataPath(directory)
  if (marker !== undefined || existsSync(data)) check(data, marker !== undefined)
  const durability = marker?.durability ?? wanted ?? 'disk'
  refuseOtherDurability(directory, durability, wanted)
  let tables: LmdbTables
  try {
    tables = openTables(data, durability)
  } catch (error) {
    throw logError(error, `The log in "${directory}" cannot be opened.`)
  }
  try {
    checkTables(tables)
  } catch (error) {
    // Nothing was written that could be lost; the first error matters, and not why closing fails.
    await tables.root.close().catch(() => undefined)
    throw isMillraceError(error) ? error : logError(error, `The log in "${directory}" cannot be read.`)
  }
  // Created last, so that a marker always has data next to it.
  if (marker === undefined) createMarker(directory, durability)
  return { tables, durability }
}

/** Converts an error of LMDB to one of Millrace. */
export function logError(thrown: unknown, what: string): MillraceError {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  const damaged = /MDB_(CORRUPTED|PAGE_NOTFOUND|INVALID|VERSION_MISMATCH|PANIC|BAD_)/.test(text)
  return new MillraceError(damaged ? 'LOG_CORRUPT' : 'LOG_UNUSABLE', `${what} ${text}.`, { cause: thrown })
}

/** Throws `LOG_UNUSABLE` if processes would disagree about the durability of writes. */
export function refuseOtherDurability(directory: string, is: Durability, wanted: Durability | undefined): void {
  if (wanted === undefined || wanted === is) return
  throw new MillraceError(
    'LOG_UNUSABLE',
    `The log in "${directory}" was created with durability "${is}", not "${wanted}".`,
  )
}

/** Makes the directory if it is missing. Throws `LOG_UNUSABLE` if it cannot be a log's directory. */
export function prepareDirectory(directory: string): void {
  try {
    makeDirectory(directory)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new MillraceError(
      'LOG_UNUSABLE',
      `"${directory}" (setting broker, embedded:) cannot be the directory of a log: ${text}.`,
      { cause: error },
    )
  }
}

/** The names of a log's files are unique, so that a store may be in the same directory. */
export function dataPath(directory: string): string {
  return join(directory, 'millrace-log.mdb')
}

function check(data: string, mustExist: boolean): void {
  if (!existsSync(data)) throw new MillraceError('LOG_CORRUPT', `"${data}" is missing.`)
  const wrong = checkDataFile(data)
  if (wrong === undefined || (wrong === 'empty' && !mustExist)) return
  throw new MillraceError('LOG_CORRUPT', `"${data}" is damaged: ${wrong}.`)
}
