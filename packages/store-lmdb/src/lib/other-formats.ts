import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FORMAT, formatIn, markerPath } from './marker-file.ts'

/** A store that this version cannot read. */
export interface OtherFormat {
  readonly directory: string
  readonly format: number
}

/** What LMDB makes in a directory. */
const DATA_FILES = ['data.mdb', 'lock.mdb']

/** Stores of other format versions in the directories right below one. What has no readable marker is not mentioned. */
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

/** Deletes a store of another format; false, and nothing happens, where there is none. Files of others beside it stay. */
export async function removeOtherFormat(directory: string): Promise<boolean> {
  const format = formatOf(directory)
  if (format === undefined || format === FORMAT) return false
  for (const file of DATA_FILES) await rm(join(directory, file), { force: true })
  // Last: a store that is half gone is still known as one to remove.
  await rm(markerPath(directory))
  if (readdirSync(directory).length === 0) await rmdir(directory)
  return true
}

function formatOf(directory: string): number | undefined {
  const marker = markerPath(directory)
  return existsSync(marker) ? formatIn(readFileSync(marker, 'utf8')) : undefined
}
