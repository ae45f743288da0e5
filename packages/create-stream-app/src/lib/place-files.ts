import { constants } from 'node:fs'
import { copyFile, lstat, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { join, relative } from 'node:path'

/** A file of the project whose name exists in the directory. */
export interface Conflict {
  /** Relative to the directory. */
  readonly path: string
  /** True for a file, which may be replaced; false for anything else, which may not. */
  readonly isFile: boolean
}

/** The conflicts between the files of the draft and those in `target`. Directories that exist in both are merged. */
export async function conflictsOf(draft: string, target: string): Promise<readonly Conflict[]> {
  const found = new Map<string, Conflict>()
  for (const { path, isDirectory } of await contentsOf(draft)) {
    const there = await kindOf(join(target, path))
    if (there === undefined || (there === 'directory' && isDirectory)) continue
    // If a directory is a file in the target, nothing below it can conflict.
    found.set(path, { path, isFile: there === 'file' && !isDirectory })
  }
  return [...found.values()]
}

/**
 * Moves the files of the draft into `target`, which may contain other files. On failure the files already moved are
 * removed. Files of the target stay unless `overwrite` says that the draft's replace them.
 */
export async function placeFiles(
  draft: string,
  target: string,
  { overwrite }: { readonly overwrite: boolean },
): Promise<void> {
  const placed: string[] = []
  const made: string[] = []
  try {
    for (const { path, isDirectory } of await contentsOf(draft)) {
      const goal = join(target, path)
      if (isDirectory) {
        if ((await kindOf(goal)) === 'directory') continue
        await mkdir(goal)
        made.push(goal)
      } else if (overwrite) await rename(join(draft, path), goal)
      else {
        // Exclusive: somebody may have created the file since the check for conflicts.
        await copyFile(join(draft, path), goal, constants.COPYFILE_EXCL)
        placed.push(goal)
      }
    }
  } catch (thrown) {
    for (const path of placed) await rm(path, { force: true })
    for (const path of made.toReversed()) await rmdir(path).catch(() => undefined)
    throw thrown
  }
}

interface Content {
  /** Relative to the draft. */
  readonly path: string
  readonly isDirectory: boolean
}

/** Files and directories, each directory before its content. */
async function contentsOf(draft: string): Promise<readonly Content[]> {
  const entries = await readdir(draft, { recursive: true, withFileTypes: true })
  return entries
    .map((entry) => ({
      path: relative(draft, join(entry.parentPath, entry.name)),
      isDirectory: entry.isDirectory(),
    }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** `undefined` if nothing exists there. */
async function kindOf(path: string): Promise<'file' | 'directory' | 'other' | undefined> {
  try {
    const found = await lstat(path)
    return found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other'
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR'))
      return undefined
    throw thrown
  }
}
