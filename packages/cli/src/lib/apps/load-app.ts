import { spawnSync } from 'node:child_process'
import { dirname, extname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isMillraceError, MillraceError, toError } from '@millrace/core'
import { commandLine, type CommandLineApp, type HasCommandLine } from '@millrace/core/operations'
import pc from 'picocolors'
import { describeFailure } from '../output/describe-failure.ts'
import { cellText } from '../output/foreign-text.ts'
import type { AppLocation } from './locate-app.ts'
import { nearestFile, nearestPackage } from './nearest-package.ts'

const TYPESCRIPT = ['.ts', '.mts', '.tsx', '.cts']

/**
 * Imports the app file; TypeScript needs no build. Throws `APP_NOT_FOUND`. An error inside the file keeps its own code
 * or becomes `APP_UNLOADABLE` with file and line.
 */
export async function loadApp({ file, exportName }: AppLocation): Promise<CommandLineApp> {
  const isTypeScript = TYPESCRIPT.includes(extname(file))
  if (isTypeScript) requireModulePackage(file)
  if (isTypeScript && !typescriptIsLoaded()) await registerTypeScript(file)
  return pickApp(await importFile(file), exportName, file)
}

/**
 * Without `"type": "module"` the hook would run the file as CommonJS, which silently loads a second copy of Millrace
 * or forbids top-level await.
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
 * True if a loader for TypeScript is already installed: this file runs from source, or Node was told to import a hook.
 * Node's own type stripping does not count, because it rejects part of the language.
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
  const forget = reportEnd(file)
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
 * The import may end the process, and then no caller is left to throw to. Node itself prints an uncaught error and
 * exits with 1.
 */
function reportEnd(file: string): () => void {
  const report = (why: string): void => {
    forget()
    const error = new MillraceError('APP_UNLOADABLE', `${file} cannot be imported: ${why}.`)
    process.stderr.write(`${describeFailure(error, pc.createColors(false), { stack: false })}\n`)
    process.exitCode = 1
  }
  const onIdle = (): void => report('an await at its top level waits for something that cannot come')
  const onExit = (code: number): void => {
    if (code !== 1) report(`it ends the process, with exit code ${code}`)
  }
  const forget = (): void => {
    process.off('beforeExit', onIdle)
    process.off('exit', onExit)
  }
  process.on('beforeExit', onIdle)
  process.on('exit', onExit)
  return forget
}

/**
 * Picks the app among the exports of `file`: the named export, or `app`, or `default`, or the only app. Throws
 * `APP_NOT_FOUND`.
 */
export function pickApp(
  exports: Readonly<Record<string, unknown>>,
  exportName: string | undefined,
  file: string,
): CommandLineApp {
  if (exportName !== undefined) return named(exports, exportName, file)
  const apps = Object.entries(exports).flatMap(([name, value]) => (isApp(value) ? [{ name, app: value }] : []))
  const unique = new Set(apps.map(({ app }) => app))
  const chosen = apps.find(({ name }) => name === 'app') ?? apps.find(({ name }) => name === 'default') ?? apps[0]
  if (chosen === undefined) {
    throw new MillraceError(
      'APP_NOT_FOUND',
      `${file} exports no app: ${listed(exports)}. Write: export const app = createApp({ … }).`,
    )
  }
  if (unique.size > 1 && chosen.name !== 'app' && chosen.name !== 'default') {
    const names = apps.map(({ name }) => name)
    throw new MillraceError(
      'APP_NOT_FOUND',
      `${file} exports several apps: ${names.join(', ')}. Name one: -A ${file}:${chosen.name}.`,
    )
  }
  return checked(chosen.app, file)
}

function named(exports: Readonly<Record<string, unknown>>, exportName: string, file: string): CommandLineApp {
  if (!Object.hasOwn(exports, exportName)) {
    throw new MillraceError('APP_NOT_FOUND', `${file} has no export "${exportName}": ${listed(exports)}.`)
  }
  const value = exports[exportName]
  if (!isApp(value))
    throw new MillraceError('APP_NOT_FOUND', `The export "${exportName}" of ${file} is no app made by createApp.`)
  return checked(value, file)
}

/** True for any object that implements the command-line contract, even from another copy of Millrace. */
export function isApp(value: unknown): value is HasCommandLine {
  return typeof value === 'object' && value !== null && commandLine in value
}

function checked(app: HasCommandLine, file: string): CommandLineApp {
  const { [commandLine]: offered } = app
  const version: number = offered.version
  if (version === 1) return offered
  throw new MillraceError(
    'APP_NOT_FOUND',
    `The app of ${file} speaks version ${version} of the command line, this is version 1: install @millrace/app and @millrace/cli of one release.`,
  )
}

function listed(exports: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(exports)
  return names.length === 0 ? 'it exports nothing' : `it exports ${names.join(', ')}`
}

/** One or two sentences on why a file could not be imported, with line and column if known. */
export function describeLoadError(thrown: unknown, file: string): string {
  const error = toError(thrown)
  // A thrown value that is not an error has no stack.
  if (error !== thrown) return `${file} cannot be imported: it throws ${cellText(thrown) || String(thrown)}.`
  const transform = /^Transform failed.*\n(.+)$/m.exec(error.message)?.[1]
  const missing = /Cannot find (?:module|package) '([^']+)'(?: imported from (\S+))?/.exec(error.message)
  const message = transform ?? error.message.split('\n', 1)[0] ?? ''
  if (missing) return `${file} cannot be imported: ${message}.`
  const place = transform === undefined ? (placeOf(error) ?? checkedPlace(error, file)) : undefined
  const kind = error.name === 'Error' ? '' : `${error.name}: `
  return `${file} cannot be imported: ${place === undefined ? '' : `${place}: `}${kind}${message}.`
}

/** Node names the place of a syntax error only when it runs the file itself, so we have it check the file. */
function checkedPlace(error: Error, file: string): string | undefined {
  if (error.name !== 'SyntaxError') return undefined
  const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: 5_000, env: {} })
  const [, line] = /^(?:file:\/\/)?\/.+:(\d+)$/m.exec(stderr) ?? []
  return line === undefined ? undefined : `${file}:${line}`
}

/** `file:line[:column]` of the first stack frame outside Node and installed packages. */
function placeOf(error: Error): string | undefined {
  for (const line of (error.stack ?? '').split('\n')) {
    const found = /:(\d+(?::\d+)?)\)?$/.exec(line)
    const where = /(?:file:\/\/\/|\/|[A-Z]:\\).*/.exec(line.slice(0, found?.index))?.[0]
    const position = found?.[1]
    if (position === undefined || where === undefined || line.includes('node:') || where.includes('node_modules'))
      continue
    return `${where.startsWith('file:') ? fileURLToPath(where) : where}:${position}`
  }
  return undefined
}
