import { accessSync, constants, mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Permissions of files with records or rows: only their owner has access, as to the directories that `makeDirectory`
 * makes.
 */
export const PRIVATE_FILE = 0o600
const PRIVATE_DIRECTORY = 0o700

/**
 * Makes a directory that only its owner can read, with missing parents, and checks that it is writable. Used for all
 * data on disk, in place of Node's `recursive`: on a file system that answers ENOENT for each new directory (`/proc`),
 * that option retries for ever, and blocks signals meanwhile.
 *
 * Throws an `Error` that names the first path at fault; the caller adds the setting.
 *
 * @example
 * makeDirectory('/var/lib/shop/tables')
 */
export function makeDirectory(directory: string): void {
  const missing: string[] = []
  let above = resolve(directory)
  while (!isThere(above) && dirname(above) !== above) {
    missing.push(above)
    above = dirname(above)
  }
  mustBeDirectory(above)
  for (const path of missing.toReversed()) make(path)
  inPlace(directory, () => accessSync(directory, constants.R_OK | constants.W_OK), 'cannot be written')
}

function make(path: string): void {
  try {
    mkdirSync(path, { mode: PRIVATE_DIRECTORY })
  } catch (thrown) {
    // Another process has created it meanwhile, or it is a dangling link.
    if (hasSystemCode(thrown, 'EEXIST')) return mustBeDirectory(path)
    throw new Error(`"${path}" cannot be made: "${dirname(path)}" takes no new directory (${textOf(thrown)})`, {
      cause: thrown,
    })
  }
}

function mustBeDirectory(path: string): void {
  if (!inPlace(path, () => statSync(path), 'cannot be looked at').isDirectory())
    throw new Error(`"${path}" is not a directory`)
}

/** Also true of a path below a file, which is found not to be a directory afterwards. */
function isThere(path: string): boolean {
  try {
    statSync(path)
    return true
  } catch (thrown) {
    if (hasSystemCode(thrown, 'ENOENT', 'ENOTDIR')) return false
    throw new Error(`"${path}" cannot be looked at (${textOf(thrown)})`, { cause: thrown })
  }
}

function inPlace<T>(path: string, look: () => T, what: string): T {
  try {
    return look()
  } catch (thrown) {
    throw new Error(`"${path}" ${what} (${textOf(thrown)})`, { cause: thrown })
  }
}

/** Whether the system has refused something with one of these codes, such as `ENOENT`. */
export function hasSystemCode(thrown: unknown, ...codes: readonly string[]): boolean {
  return thrown instanceof Error && 'code' in thrown && codes.some((code) => code === thrown.code)
}

/** For example `EACCES: permission denied`, without the path, which the message has already. */
function textOf(thrown: unknown): string {
  return String(thrown instanceof Error ? thrown.message : thrown).replace(/, \w+ '.*'$/, '')
}
