import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { bundle } from './bundle.ts'
import { digest, placeFiles, unlessMissing } from './place-files.ts'

const ROOT = join(import.meta.dirname, '../..')
/** Beside what is installed, since bundles name installed packages by their paths. */
const CACHE = join(ROOT, 'node_modules/.cache/packages')
/** Where there are packages that tests import by name. */
const PLACES = ['packages', 'scripts']
/** Those of sources that nobody has asked for in a day are removed. */
const STALE_MS = 86_400_000

/** In the environment of tests: what `bundledPackages` gave, as JSON. */
export const PACKAGES_VARIABLE = 'PACKAGE_BUNDLES'

/**
 * The packages of the workspace as a JavaScript file each: import name → file. Tests that import a package load one file
 * instead of some hundred. They behave as their sources do, as `bundled` describes; made anew each time (half a second),
 * into a directory that is named after their contents.
 *
 * @example
 * const files = await bundledPackages()
 * const { createApp } = await import(files.get('@millrace/app'))
 */
export async function bundledPackages(): Promise<ReadonlyMap<string, string>> {
  const entries = await entriesOf()
  const sources = new Map([...entries].map(([name, file]) => [fileName(name), file]))
  const { files } = await bundle(sources, join(CACHE, 'made'))
  const directory = join(CACHE, digest([...files].flat()))
  await mkdir(CACHE, { recursive: true })
  await removeStale()
  await placeFiles(files, directory)
  return new Map([...entries.keys()].map((name) => [name, join(directory, `${fileName(name)}.mjs`)]))
}

/** Import name → source file. */
async function entriesOf(): Promise<ReadonlyMap<string, string>> {
  const entries = new Map<string, string>()
  for (const place of PLACES)
    for (const child of await readdir(join(ROOT, place), { withFileTypes: true })) {
      const directory = join(ROOT, place, child.name)
      const text = child.isDirectory()
        ? await unlessMissing(readFile(join(directory, 'package.json'), 'utf8'))
        : undefined
      if (text === undefined) continue
      const { name, exports }: { name: string; exports: Record<string, string> } = JSON.parse(text)
      for (const [subpath, file] of Object.entries(exports)) entries.set(join(name, subpath), join(directory, file))
    }
  return entries
}

/** `@millrace/core` → `millrace-core` */
function fileName(name: string): string {
  return name
    .replaceAll(/[^a-z]+/g, ' ')
    .trim()
    .replaceAll(' ', '-')
}

async function removeStale(): Promise<void> {
  const before = Date.now() - STALE_MS
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, name)
    // What another process is making has another name in the next moment.
    const found = await unlessMissing(stat(path))
    if (found !== undefined && found.mtimeMs < before) await rm(path, { recursive: true, force: true })
  }
}
