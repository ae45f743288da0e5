import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MillraceError, toError } from '@millrace/core'

/** The `package.json` that a directory belongs to. */
export interface NearestPackage {
  readonly file: string
  readonly directory: string
  /** `"type": "module"` */
  readonly isModule: boolean
  /** The value of `"millrace": { "app": … }`, if present. */
  readonly app: string | undefined
}

/** Searches `directory` and its parents. Throws `APP_NOT_FOUND` when the file is not JSON. */
export function nearestPackage(directory: string): NearestPackage | undefined {
  const file = nearestFile(directory, 'package.json')
  if (file === undefined) return undefined
  const content = readJson(file)
  const millrace = property(content, 'millrace')
  const app = property(millrace, 'app')
  if (millrace !== undefined && app !== undefined && typeof app !== 'string') {
    throw new MillraceError('APP_NOT_FOUND', `"millrace.app" in ${file} is no text.`)
  }
  return {
    file,
    directory: dirname(file),
    isModule: property(content, 'type') === 'module',
    app: typeof app === 'string' ? app : undefined,
  }
}

/** The nearest file of this name in `directory` or above it. */
export function nearestFile(directory: string, name: string): string | undefined {
  const file = join(directory, name)
  if (existsSync(file)) return file
  const above = dirname(directory)
  return above === directory ? undefined : nearestFile(above, name)
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new MillraceError('APP_NOT_FOUND', `${file} cannot be read: ${toError(error).message}.`, { cause: error })
  }
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}
