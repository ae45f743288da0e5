import { createHash } from 'node:crypto'
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { changedFile, readManifest } from './backup-manifest.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-manifest-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let directories = 0

const CONTENTS = 'all the bytes'
const sha256 = createHash('sha256').update(CONTENTS).digest('hex')
const secret = join(root, 'secret')
writeFileSync(secret, CONTENTS)

/** A directory with a manifest that names these files, and one file in each of its folders. */
function backupOf(paths: readonly string[], bytes: number = CONTENTS.length): string {
  const directory = join(root, String(++directories))
  for (const folder of ['log', 'store']) {
    mkdirSync(join(directory, folder), { recursive: true })
    writeFileSync(join(directory, folder, 'data.mdb'), CONTENTS)
  }
  const files = paths.map((path) => ({ path, bytes, sha256 }))
  const manifest = { format: 1, version: '1.0.0', appId: 'shop', madeAt: 0, files }
  writeFileSync(join(directory, 'millrace-backup.json'), JSON.stringify(manifest))
  return directory
}

const changed = async (directory: string): Promise<string | undefined> =>
  changedFile(directory, await readManifest(directory))

test('accepts unchanged files', async () => {
  expect(await changed(backupOf(['log/data.mdb', 'store/data.mdb']))).toBeUndefined()
})

test.each([
  '../secret',
  'log/../../secret',
  'log/..',
  'log/.',
  'log/',
  secret,
  '/etc/passwd',
  String.raw`log\..\..\secret`,
  String.raw`log/..\..\secret`,
  'C:/secret',
  'log//data.mdb',
  'log/data.mdb/',
  'log/a/b',
  'data.mdb',
  '',
  'log/\u0000',
])('refuses a path out of the backup before reading anything: %j', async (path) => {
  await expect(readManifest(backupOf(['log/data.mdb', path]))).rejects.toThrow(/BACKUP_REFUSED.*as no backup does/)
})

test('refuses a file that is named twice', async () => {
  await expect(readManifest(backupOf(['log/data.mdb', 'log/data.mdb']))).rejects.toThrow(/BACKUP_REFUSED.*data\.mdb/)
})

test.each(['file', 'directory', 'device', 'nothing'])('refuses a link, whatever its target: a %s', async (kind) => {
  const directory = backupOf(['log/linked.mdb'])
  const targets: Readonly<Record<string, string>> = { file: secret, directory: root, device: '/dev/zero' }
  symlinkSync(targets[kind] ?? join(root, 'nowhere'), join(directory, 'log', 'linked.mdb'))
  expect(await changed(directory)).toBe('log/linked.mdb')
})

test('checks the contents of a hard link like those of any file', async () => {
  const directory = backupOf(['log/linked.mdb'])
  linkSync(secret, join(directory, 'log', 'linked.mdb'))
  expect(await changed(directory)).toBeUndefined()
})

test('does not read a file that has become shorter or longer', async () => {
  const cut = backupOf(['log/data.mdb'])
  truncateSync(join(cut, 'log', 'data.mdb'), 3)
  expect(await changed(cut)).toBe('log/data.mdb')
  const large = backupOf(['log/data.mdb'])
  // A sparse file: a tebibyte that uses no disk space but takes hours to read.
  truncateSync(join(large, 'log', 'data.mdb'), 2 ** 40)
  expect(await changed(large)).toBe('log/data.mdb')
})

test.each([2 ** 60, -1, 0.5])('refuses a size of %d', async (bytes) => {
  await expect(readManifest(backupOf(['log/data.mdb'], bytes))).rejects.toThrow(/BACKUP_REFUSED.*cannot be read/)
})
