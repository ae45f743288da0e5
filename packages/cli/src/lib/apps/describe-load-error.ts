import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { toError } from '@millrace/core'
import { cellText } from '../output/text-table.ts'

/** One sentence or two about why a file could not be imported, with the place in it where that is known. */
export function describeLoadError(thrown: unknown, file: string): string {
  const error = toError(thrown)
  // What is no error has no place.
  if (error !== thrown) return `${file} cannot be imported: it throws ${cellText(thrown) || String(thrown)}.`
  const transform = /^Transform failed.*\n(.+)$/m.exec(error.message)?.[1]
  const missing = /Cannot find (?:module|package) '([^']+)'(?: imported from (\S+))?/.exec(error.message)
  const message = transform ?? error.message.split('\n', 1)[0] ?? ''
  if (missing) return `${file} cannot be imported: ${message}.`
  const place = transform === undefined ? (placeOf(error) ?? checkedPlace(error, file)) : undefined
  const kind = error.name === 'Error' ? '' : `${error.name}: `
  return `${file} cannot be imported: ${place === undefined ? '' : `${place}: `}${kind}${message}.`
}

/** Node says where a syntax error is only when it runs a file itself: so it is asked to check this one. */
function checkedPlace(error: Error, file: string): string | undefined {
  if (error.name !== 'SyntaxError') return undefined
  const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: 5_000, env: {} })
  const [, line] = /^(?:file:\/\/)?\/.+:(\d+)$/m.exec(stderr) ?? []
  return line === undefined ? undefined : `${file}:${line}`
}

/** `file:line[:column]` of the first place in the stack outside Node and installed packages. */
function placeOf(error: Error): string | undefined {
  for (const line of (error.stack ?? '').split('\n')) {
    const [, where, position] = /(file:\/\/\/.+?|\/.+?|[A-Z]:\\.+?):(\d+(?::\d+)?)\)?$/.exec(line) ?? []
    if (where === undefined || line.includes('node:') || where.includes('node_modules')) continue
    return `${where.startsWith('file:') ? fileURLToPath(where) : where}:${position}`
  }
  return undefined
}
