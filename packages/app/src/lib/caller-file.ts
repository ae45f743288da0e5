import { fileURLToPath } from 'node:url'

/**
 * The file that called `callee`, so that `embedded:` can live beside the package of the app file, whatever the working
 * directory is. `undefined` where the runtime does not tell (code made by `eval`, a REPL).
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
    // Reading the property is what runs prepareStackTrace.
    if (holder.stack === undefined || file === undefined) return undefined
    return file.startsWith('file:') ? fileURLToPath(file.replace(/[?#].*$/, '')) : file
  } finally {
    Error.prepareStackTrace = prepare
  }
}
