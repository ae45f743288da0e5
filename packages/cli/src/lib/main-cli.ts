import { realpathSync } from 'node:fs'
import { extname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { commandLine, type HasCommandLine } from '@millrace/core'
import { runProcess } from './process/run-process.ts'

/**
 * Makes the app's own file the command: `node ./src/app.ts worker`. Does nothing when the file is imported rather than
 * run. Otherwise it never returns: the process ends with the command's exit code.
 *
 * @example
 * await mainCli(app, import.meta)
 */
export async function mainCli(app: HasCommandLine, meta: { readonly url: string }): Promise<void> {
  const appFile = fileURLToPath(meta.url)
  if (!isEntry(appFile, process.argv[1])) return
  const program = `node ${relative(process.cwd(), appFile)}`
  await runProcess(process.argv.slice(2), { app: app[commandLine], appFile, program })
}

/** Whether `file` is what Node was told to run: `entry` may lack its extension, and either may be a symbolic link. */
export function isEntry(file: string, entry: string | undefined): boolean {
  if (entry === undefined) return false
  const real = realPath(file)
  return [entry, entry + extname(file)].some((candidate) => realPath(candidate) === real)
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    // A path that does not exist is only itself.
    return path
  }
}
