import { createHash } from 'node:crypto'
import { createReadStream, existsSync, lstatSync } from 'node:fs'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  asFields,
  asInteger,
  asList,
  asText,
  MillraceError,
  PRIVATE_FILE,
  readFields,
  refuseNewer,
} from '@millrace/core'
import type { Backup } from '@millrace/core/operations'

/** Written last: a backup without it is incomplete. */
const MANIFEST = 'millrace-backup.json'
export const DRAFT: string = `${MANIFEST}.new`
const FORMAT = 1
/** A file in a folder, named once, inside the backup: a backup may come from an untrusted source. */
const OWN_PATH = /^[\w-]+\/(?!\.{1,2}$)[\w.-]+$/

export async function writeManifest(directory: string, backup: Backup): Promise<Backup> {
  const draft = join(directory, DRAFT)
  await writeFile(draft, `${JSON.stringify({ format: FORMAT, ...backup }, undefined, 2)}\n`, { mode: PRIVATE_FILE })
  await rename(draft, join(directory, MANIFEST))
  return backup
}

/** The contents of a directory that a backup was written to. */
export async function filesIn(directory: string): Promise<Backup['files']> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : [])).sort()
  const files: Backup['files'][number][] = []
  for (const path of paths)
    // LMDB's lock files belong to the process that made the copy.
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

/** The first file that is missing or has changed. A link, a device or a file of another size is not read. */
export async function changedFile(directory: string, { files }: Backup): Promise<string | undefined> {
  for (const { path, bytes, sha256 } of files) {
    const file = join(directory, path)
    const found = lstatSync(file, { throwIfNoEntry: false })
    if (found?.isFile() !== true || found.size !== bytes || (await digestOf(file)).sha256 !== sha256) return path
  }
  return undefined
}

export async function readManifest(directory: string): Promise<Backup> {
  const path = join(directory, MANIFEST)
  if (!existsSync(path)) throw refused(`"${path}" is missing: "${directory}" is not a complete backup.`)
  const manifest = readFields(await readFile(path), undefined, ({ format, version, appId, madeAt, files }) => {
    refuseNewer(`The backup in "${directory}"`, format, FORMAT)
    return { version: asText(version), appId: asText(appId), madeAt: asInteger(madeAt), files: asList(files, asFile) }
  })
  if (manifest === undefined) throw refused(`"${path}" cannot be read.`)
  const names = manifest.files.map((file) => file.path)
  const foreign = names.find((name, at) => !OWN_PATH.test(name) || names.indexOf(name) !== at)
  if (foreign !== undefined) throw refused(`"${path}" names ${JSON.stringify(foreign)} as no backup does.`)
  return manifest
}

function asFile(value: unknown): Backup['files'][number] {
  const { path, bytes, sha256 } = asFields(value)
  return { path: asText(path), bytes: asInteger(bytes), sha256: asText(sha256) }
}

export function refused(detail: string): MillraceError {
  return new MillraceError('BACKUP_REFUSED', detail)
}
