import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { MillraceError } from '@millrace/core'
import { nearestPackage } from './nearest-package.ts'

/** The file and the export to load an app from. */
export interface AppLocation {
  /** Absolute. */
  readonly file: string
  /** Name of the export; `undefined` to search the exports. */
  readonly exportName: string | undefined
  /** The option, variable or file that named it, for messages. */
  readonly namedBy: string
}

export interface LocateOptions {
  /** The value of `-A`. */
  readonly option: string | undefined
  /** `MILLRACE_APP` */
  readonly variable: string | undefined
  readonly directory: string
}

const EXTENSIONS = ['', '.ts', '.mts', '.tsx', '.js', '.mjs']

/**
 * Finds the app: `-A`, then `MILLRACE_APP`, then `"millrace": { "app": … }` of the nearest package.json. Returns
 * `undefined` if none of them is set. Throws `APP_NOT_FOUND` if the named file does not exist.
 */
export function locateApp({ option, variable, directory }: LocateOptions): AppLocation | undefined {
  if (option !== undefined) return locate(option, directory, '-A')
  if (variable?.trim() === '')
    throw new MillraceError('APP_NOT_FOUND', 'MILLRACE_APP is set and blank: name an app file, or unset it.')
  if (variable !== undefined) return locate(variable, directory, 'MILLRACE_APP')
  const nearest = nearestPackage(directory)
  return nearest?.app === undefined ? undefined : locate(nearest.app, nearest.directory, nearest.file)
}

function locate(text: string, directory: string, namedBy: string): AppLocation {
  const { path, exportName } = splitTarget(text)
  const base = resolve(directory, path)
  const file = EXTENSIONS.map((extension) => base + extension).find(isFile)
  if (path === '' || file === undefined) {
    throw new MillraceError('APP_NOT_FOUND', `There is no file ${base} (named by ${namedBy}: "${text}").`)
  }
  return { file, exportName, namedBy }
}

/** Splits `path:export`. A colon counts only before a name, so that drive letters stay intact. */
export function splitTarget(text: string): { readonly path: string; readonly exportName: string | undefined } {
  const [, path, exportName] = /^(.+):([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u.exec(text) ?? []
  return path === undefined ? { path: text, exportName: undefined } : { path, exportName }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
