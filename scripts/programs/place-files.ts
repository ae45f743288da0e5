import { createHash, randomUUID } from 'node:crypto'
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

/**
 * Writes files (path → text, of which the last part counts) into a directory that is named after their contents: there is
 * all of it or nothing, and whoever comes second finds it there.
 */
export async function placeFiles(files: ReadonlyMap<string, string>, directory: string): Promise<void> {
  const attempt = `${directory}-${randomUUID()}`
  await mkdir(attempt)
  try {
    await Promise.all([...files].map(([path, text]) => writeFile(join(attempt, basename(path)), text)))
    await rename(attempt, directory).catch(async (error: unknown) => {
      if (!(error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST')))
        throw error
      const now = new Date()
      await utimes(directory, now, now)
    })
  } finally {
    await rm(attempt, { recursive: true, force: true })
  }
}

/** Names what was made of these texts. */
export function digest(texts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(`${text.length}:`).update(text)
  return hash.digest('hex').slice(0, 32)
}

/** What was read, or `undefined` when there is no such file. */
export async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  return reading.catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
}
