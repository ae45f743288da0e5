import { dirname, extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isMillraceError, MillraceError, type CommandLineApp } from '@millrace/core'
import pc from 'picocolors'
import { describeFailure } from '../output/describe-failure.ts'
import { describeLoadError } from './describe-load-error.ts'
import type { AppLocation } from './locate-app.ts'
import { nearestFile, nearestPackage } from './nearest-package.ts'
import { pickApp } from './pick-app.ts'

const TYPESCRIPT = ['.ts', '.mts', '.tsx', '.cts']

/**
 * Imports the app file, TypeScript without a build. Throws `APP_NOT_FOUND`; an error within the file keeps its own code,
 * or becomes `APP_UNLOADABLE` with file and line.
 */
export async function loadApp({ file, exportName }: AppLocation): Promise<CommandLineApp> {
  const isTypeScript = TYPESCRIPT.includes(extname(file))
  if (isTypeScript) requireModulePackage(file)
  if (isTypeScript && !typescriptIsLoaded()) await registerTypeScript(file)
  return pickApp(await importFile(file), exportName, file)
}

/**
 * Without `"type": "module"` the hook would run the file as CommonJS: a second copy of Millrace without a word, or no
 * top-level await.
 */
function requireModulePackage(file: string): void {
  if (extname(file) === '.mts') return
  const nearest = nearestPackage(dirname(file))
  if (nearest?.isModule) return
  const where =
    nearest === undefined ? `there is no package.json at or above ${dirname(file)}` : `${nearest.file} lacks it`
  throw new MillraceError('APP_NOT_FOUND', `${file} needs "type": "module" in its package.json, and ${where}.`)
}

/**
 * True when something reads TypeScript already: this very file then runs from its source, or Node was told to import a
 * hook. Node's own type stripping does not count, since it refuses part of the language.
 */
function typescriptIsLoaded(): boolean {
  const stripping = 'typescript' in process.features && Boolean(process.features.typescript)
  const options = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')
  return (import.meta.url.endsWith('.ts') && !stripping) || /\b(tsx|oxc-node|ts-node)\b/.test(options)
}

async function registerTypeScript(file: string): Promise<void> {
  const { register } = await import('tsx/esm/api')
  const tsconfig = nearestFile(dirname(file), 'tsconfig.json')
  register(tsconfig === undefined ? {} : { tsconfig })
}

async function importFile(file: string): Promise<Readonly<Record<string, unknown>>> {
  const forget = tellEnd(file)
  try {
    const exports: Readonly<Record<string, unknown>> = await import(pathToFileURL(file).href)
    return exports
  } catch (error) {
    if (isMillraceError(error)) throw error
    throw new MillraceError('APP_UNLOADABLE', describeLoadError(error, file), { cause: error })
  } finally {
    forget()
  }
}

/**
 * The process may end while the file is imported: nobody is left to throw to then. An error that nobody catches Node tells
 * by itself, and ends with 1.
 */
function tellEnd(file: string): () => void {
  const tell = (why: string): void => {
    forget()
    const error = new MillraceError('APP_UNLOADABLE', `${file} cannot be imported: ${why}.`)
    process.stderr.write(`${describeFailure(error, pc.createColors(false), { stack: false })}\n`)
    process.exitCode = 1
  }
  const onIdle = (): void => tell('an await at its top level waits for something that cannot come')
  const onExit = (code: number): void => {
    if (code !== 1) tell(`it ends the process, with exit code ${code}`)
  }
  const forget = (): void => {
    process.off('beforeExit', onIdle)
    process.off('exit', onExit)
  }
  process.on('beforeExit', onIdle)
  process.on('exit', onExit)
  return forget
}
