import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { MillraceError } from '@millrace/core'
import { nearestPackage } from './nearest-package.ts'

/** Where an app is to be loaded from. */
export interface AppLocation {
  /** Absolute. */
  readonly file: string
  /** Name of the export; `undefined`: found out. */
  readonly exportName: string | undefined
  /** What named it, for messages. */
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
 * Which app is meant: `-A`, then `MILLRACE_APP`, then `"millrace": { "app": … }` of the nearest package.json.
 * `undefined` when none of them says anything. Throws `APP_NOT_FOUND` when the file named is not there.
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

/** Takes `path:export` apart. A colon counts when a name follows it, so that drive letters stay whole. */
export function splitTarget(text: string): { readonly path: string; readonly exportName: string | undefined } {
  const [, path, exportName] = /^(.+):([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u.exec(text) ?? []
  return path === undefined ? { path: text, exportName: undefined } : { path, exportName }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
