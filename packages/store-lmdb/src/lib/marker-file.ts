import { existsSync, readFileSync, renameSync, writeFileSync, readdirSync } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError, PRIVATE_FILE } from '@millrace/core'

/**
 * Format of the rows in the data file. Raise it if an older version cannot read what this one writes. 2: rows and facts
 * have checksums. There is no migration: rows without checksums are not trusted, and the changelog has them.
 */
export const FORMAT: number = 2

/** Whether a directory has a store, according to its marker file. Throws `STORE_VERSION` or `STORE_CORRUPT`. */
export function hasMarker(directory: string): boolean {
  const path = markerPath(directory)
  if (!existsSync(path)) return false
  const format = formatIn(readFileSync(path, 'utf8'))
  if (format === undefined) throw new MillraceError('STORE_CORRUPT', `"${path}" cannot be read.`)
  if (format !== FORMAT)
    throw new MillraceError(
      'STORE_VERSION',
      `The store in "${directory}" has format ${format}, this version reads format ${FORMAT}.`,
    )
  return true
}

/** Whether a directory has a store of any format. */
export function hasStore(directory: string): boolean {
  return existsSync(markerPath(directory))
}

/**
 * Written as a whole, and only when there is data beside it, so a data file that is later missing or empty was lost.
 */
export function writeMarker(directory: string): void {
  const path = markerPath(directory)
  writeFileSync(`${path}.new`, `${JSON.stringify({ format: FORMAT })}\n`, { mode: PRIVATE_FILE })
  renameSync(`${path}.new`, path)
}

/** The path of the marker file of a directory. */
export function markerPath(directory: string): string {
  return join(directory, 'millrace-store.json')
}

/** The format in a marker; `undefined` if the text is not a marker. */
export function formatIn(text: string): number | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 'format' in value && typeof value.format === 'number'
      ? value.format
      : undefined
  } catch {
    return undefined
  }
}

/** A store that this version cannot read. */
export interface OtherFormat {
  readonly directory: string
  readonly format: number
}

/** The files that LMDB creates in a directory. */
const DATA_FILES = ['data.mdb', 'lock.mdb']

/**
 * Stores of other format versions in the subdirectories of a directory. Those without a readable marker are left out.
 */
export function findOtherFormats(directory: string): readonly OtherFormat[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const below = join(directory, name)
      const format = formatOf(below)
      return format === undefined || format === FORMAT ? [] : [{ directory: below, format }]
    })
}

/**
 * Deletes a store of another format; returns false, without any change, if there is none. Foreign files beside it stay.
 */
export async function removeOtherFormat(directory: string): Promise<boolean> {
  const format = formatOf(directory)
  if (format === undefined || format === FORMAT) return false
  for (const file of DATA_FILES) await rm(join(directory, file), { force: true })
  // Removed last, so that a half-deleted store is still recognized.
  await rm(markerPath(directory))
  if (readdirSync(directory).length === 0) await rmdir(directory)
  return true
}

function formatOf(directory: string): number | undefined {
  const marker = markerPath(directory)
  return existsSync(marker) ? formatIn(readFileSync(marker, 'utf8')) : undefined
}
