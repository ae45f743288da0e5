import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bundle } from './bundle.ts'
import { PACKAGES_VARIABLE } from './packages.ts'
import { digest, placeFiles, unlessMissing } from './place-files.ts'

/** Beside what is installed, since a bundle names installed packages by their paths. */
const CACHE = join(import.meta.dirname, '../../node_modules/.cache/programs')
/** Besides the sources: how bundles are made, and what is installed. */
const MAKERS = [
  'bundle.ts',
  'bundled.ts',
  'packages.ts',
  'place-files.ts',
  '../../pnpm-lock.yaml',
  '../../tsconfig.base.json',
].map((file) => join(import.meta.dirname, file))

/** Of the bundle of a program that was made last. */
interface Manifest {
  readonly sources: readonly string[]
  readonly key: string
}

/**
 * A program of the workspace as JavaScript for plain `node`, which starts in a third of the time that
 * `node --import tsx` takes over some hundred files. It behaves as its sources do: `import.meta` and `process.argv[1]` are
 * theirs, installed packages are loaded from where they are, and stack traces name their lines.
 *
 * In a test run the packages of the workspace are bundled already (`bundledPackages`); a program is joined to them.
 *
 * Reading source maps takes a third of the processor time in which a worker starts and stops: who starts many and reads few
 * of their stack traces sets `PROGRAM_SOURCE_MAPS=off` in their environment.
 *
 * A bundle is used until one of its sources says something else. Processes that ask for one at the same time each make
 * it, and the first to finish wins.
 *
 * @example
 * const program = await bundled(new URL('./app.ts', import.meta.url))
 * spawn(process.execPath, [fileURLToPath(program), 'worker'])
 */
export async function bundled(program: URL): Promise<URL> {
  return new URL('start.mjs', await directoryOf(program))
}

/** The same of a module that others import: what it exports, without being the program that runs. */
export async function bundledModule(module: URL): Promise<URL> {
  return new URL('code.mjs', await directoryOf(module))
}

async function directoryOf(program: URL): Promise<URL> {
  const file = fileURLToPath(program)
  const packages = packagesOf(process.env[PACKAGES_VARIABLE])
  const name = join(CACHE, digest([file, ...packages.values()]).slice(0, 16))
  const known = await readManifest(`${name}.json`)
  if (known !== undefined && (await keyOf(known.sources)) === known.key) return urlOf(`${name}.${known.key}`)
  const made = await bundle(new Map([['code', file]]), `${name}.made`, packages)
  const sources = [...made.sources.keys()].sort()
  const key = digest([...sources.map((path) => made.sources.get(path) ?? ''), ...(await readAll(MAKERS))])
  await mkdir(CACHE, { recursive: true })
  await placeFiles(
    new Map([...made.files, ['start.mjs', startText(file)], ['again.mjs', againText(file)]]),
    `${name}.${key}`,
  )
  await replace(`${name}.json`, JSON.stringify({ sources, key } satisfies Manifest))
  return urlOf(`${name}.${key}`)
}

/** As `vitest.config.ts` leaves them. */
function packagesOf(variable: string | undefined): ReadonlyMap<string, string> {
  if (variable === undefined) return new Map()
  const files: Readonly<Record<string, string>> = JSON.parse(variable)
  return new Map(Object.entries(files))
}

function urlOf(directory: string): URL {
  return pathToFileURL(`${directory}/`)
}

/** Node heeds source maps only of files that are loaded when it has been told to. */
function startText(file: string): string {
  return [
    "if (process.env['PROGRAM_SOURCE_MAPS'] !== 'off') process.setSourceMapsEnabled(true)",
    `process.argv[1] = ${JSON.stringify(file)}`,
    // A program may run itself again in further processes: these must not load the sources.
    "process.execArgv.push('--import', new URL('./again.mjs', import.meta.url).href)",
    "await import('./code.mjs')",
    '',
  ].join('\n')
}

/** Loaded before the program's own file, which it replaces by the bundle. */
function againText(file: string): string {
  const hook = [
    'export const initialize = (code) => { globalThis.code = code }',
    'export const resolve = (specifier, context, next) =>',
    `  specifier === ${JSON.stringify(pathToFileURL(file).href)}`,
    "    ? { url: globalThis.code, format: 'module', shortCircuit: true }",
    '    : next(specifier, context)',
  ].join('\n')
  return [
    "import { register } from 'node:module'",
    `register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)}, {`,
    "  data: new URL('./code.mjs', import.meta.url).href,",
    '})',
    '',
  ].join('\n')
}

/** Whoever reads the file sees it whole. */
async function replace(file: string, text: string): Promise<void> {
  const attempt = `${file}-${randomUUID()}`
  try {
    await writeFile(attempt, text)
    await rename(attempt, file)
  } finally {
    await rm(attempt, { force: true })
  }
}

async function readManifest(file: string): Promise<Manifest | undefined> {
  const text = await unlessMissing(readFile(file, 'utf8'))
  return text === undefined ? undefined : JSON.parse(text)
}

/** `undefined` when a source has gone. */
async function keyOf(sources: readonly string[]): Promise<string | undefined> {
  const texts = await unlessMissing(readAll([...sources, ...MAKERS]))
  return texts === undefined ? undefined : digest(texts)
}

async function readAll(files: readonly string[]): Promise<readonly string[]> {
  return Promise.all(files.map((file) => readFile(file, 'utf8')))
}
