import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The file that called `callee`, so that `embedded:` can be relative to the package of the app file, whatever the
 * working directory is. `undefined` if the runtime does not know it (code from `eval`, a REPL).
 */
export function callerFile(callee: (...args: never[]) => unknown): string | undefined {
  const prepare = Error.prepareStackTrace
  try {
    let file: string | undefined
    Error.prepareStackTrace = (_error, sites) => {
      file = sites[0]?.getFileName() ?? undefined
      return ''
    }
    const holder: { stack?: string } = {}
    Error.captureStackTrace(holder, callee)
    // Reading the property runs prepareStackTrace.
    if (holder.stack === undefined || file === undefined) return undefined
    return file.startsWith('file:') ? fileURLToPath(file.replace(/[?#].*/s, '')) : file
  } finally {
    Error.prepareStackTrace = prepare
  }
}

/** The directory of the nearest package.json at or above a file; the file's own directory when there is none. */
export function packageDirectory(file: string): string {
  const start = dirname(file)
  for (let directory = start; ; directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return directory
    if (directory === dirname(directory)) return start
  }
}

/**
 * Version of the Millrace package of a module. Its manifest is one level above `src` or `dist`; `unknown` in a program
 * that was bundled into one file, which belongs to another package or none.
 */
export function packageVersion(moduleUrl: string): string {
  const path = join(packageDirectory(fileURLToPath(moduleUrl)), 'package.json')
  const manifest: unknown = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
  if (typeof manifest !== 'object' || manifest === null || !('name' in manifest && 'version' in manifest))
    return UNKNOWN
  return String(manifest.name).startsWith('@millrace/') ? String(manifest.version) : UNKNOWN
}

const UNKNOWN = 'unknown'
