import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasSystemCode, MillraceError, PRIVATE_FILE } from '@millrace/core'

/**
 * Format of the rows and files of a log. Raise it if an older version cannot read what this one writes. 2: all rows
 * have checksums, over their location too. There is no migration: an older process may have the log open meanwhile, and
 * damaged rows would get checksums like any others.
 */
const FORMAT = 2

/**
 * What an acknowledged record survives. `disk`: also a power cut. `process`: the end of any process (kill -9 too), but
 * a power cut may damage the log.
 */
export type Durability = 'disk' | 'process'

/** The file next to the data that identifies the data. All processes must agree on it, and LMDB does not check. */
export interface Marker {
  readonly format: number
  readonly durability: Durability
}

/** `undefined` if the directory has none. Throws `LOG_CORRUPT` or `LOG_VERSION`. */
export function readMarker(directory: string): Marker | undefined {
  const path = markerPath(directory)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return undefined
    throw new MillraceError('LOG_UNUSABLE', `"${path}" cannot be read.`, { cause: error })
  }
  const marker = parse(text)
  if (marker === undefined) throw new MillraceError('LOG_CORRUPT', `"${path}" is not the marker of a local log.`)
  if (marker.format !== FORMAT) {
    throw new MillraceError(
      'LOG_VERSION',
      `The log in "${directory}" has format ${marker.format}; this version reads format ${FORMAT}.`,
    )
  }
  return marker
}

/** Writes the marker unless another process was faster, and returns the valid one. */
export function createMarker(directory: string, durability: Durability): Marker {
  const path = markerPath(directory)
  const draft = `${path}.${randomUUID()}`
  writeFileSync(draft, `${JSON.stringify({ format: FORMAT, durability })}\n`, { mode: PRIVATE_FILE })
  try {
    linkSync(draft, path)
  } catch (error) {
    if (!hasSystemCode(error, 'EEXIST')) throw error
  } finally {
    rmSync(draft, { force: true })
  }
  return readMarker(directory) ?? { format: FORMAT, durability }
}

export function markerPath(directory: string): string {
  return join(directory, 'millrace-log.json')
}

function parse(text: string): Marker | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('format' in value) || typeof value.format !== 'number')
      return undefined
    if (!('durability' in value) || (value.durability !== 'process' && value.durability !== 'disk')) return undefined
    return { format: value.format, durability: value.durability }
  } catch {
    return undefined
  }
}
