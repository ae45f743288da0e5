import { existsSync, readFileSync, statSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import validatePackageName from 'validate-npm-package-name'
import { filesFor, spokenBy, type Installer } from './installers.ts'
import { conflictsOf, placeFiles } from './place-files.ts'
import type { TemplateName } from './templates.ts'

/** The project to create. */
export interface ProjectPlan {
  /** The directory, relative to the working directory or absolute. It may exist and contain other files. */
  readonly directory: string
  readonly template: TemplateName
  readonly pm: Installer
  /** Replaces existing files with the same names. Default: refuses them. */
  readonly overwrite?: boolean | undefined
}

/** A problem that the user can fix; the message says how. */
export class ScaffoldError extends Error {
  override readonly name: string = 'ScaffoldError'
}

const packageRoot = fileURLToPath(new URL('../..', import.meta.url))

/** Files that npm would omit from our own package, or act upon, under their real names. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['_gitignore', '.gitignore'],
  ['_dockerignore', '.dockerignore'],
])

/** Files that contain the project's name. */
const TEXTS = new Set(['.json', '.ts', '.md', '.yaml', ''])

/**
 * Why a project cannot be created in `directory`; `undefined` if it can.
 *
 * @example whyNot('my app') // '"my app" cannot be …'
 */
export function whyNot(directory: string): string | undefined {
  if (directory.trim() === '') return 'Name a directory: it becomes the name of the project.'
  const path = resolve(directory)
  const name = basename(path)
  const { validForNewPackages, errors = [], warnings = [] } = validatePackageName(name)
  if (!validForNewPackages)
    return `"${name}" cannot be the name of a package: ${[...errors, ...warnings].join(', ')}. Choose a directory such as "my-app".`
  // The id of the app is its consumer group and the prefix of its topics.
  if (!/^[\w.-]+$/.test(name))
    return `"${name}" cannot be the id of an app: use letters, digits, dots, dashes and underscores, as in "my-app".`
  if (existsSync(path) && !statSync(path).isDirectory()) return `${path} is a file. Choose another directory.`
  return undefined
}

/**
 * Writes a project from a template; installs nothing. A new directory appears completely or not at all. An existing
 * directory stays the same and keeps its files: either all of the project's files are added, or none.
 *
 * @returns the absolute path
 * @throws {ScaffoldError} if the name is invalid, if files with the same names exist, or if the directory cannot be
 * written
 * @example
 * await createProject({ directory: 'my-app', template: 'minimal', pm: 'npm' })
 */
export async function createProject({ directory, template, pm, overwrite = false }: ProjectPlan): Promise<string> {
  const problem = whyNot(directory)
  if (problem !== undefined) throw new ScaffoldError(problem)
  const target = resolve(directory)
  const isNew = !existsSync(target)
  let draft: string | undefined
  try {
    if (isNew) await makeParents(target)
    // On the target's file system, so that files can be renamed into place.
    draft = await mkdtemp(join(isNew ? dirname(target) : target, '.create-stream-app-'))
    // A temporary directory is private; a project should not be.
    await chmod(draft, 0o777 & ~process.umask())
    await copyTemplate(template, draft)
    await fillIn(draft, { name: basename(target), template, pm })
    for (const [file, text] of filesFor(pm)) await writeFile(join(draft, file), text)
    if (isNew) await rename(draft, target)
    else await joinDirectory(draft, target, { overwrite })
    return target
  } catch (thrown) {
    if (thrown instanceof ScaffoldError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new ScaffoldError(`${target} cannot be written: ${reason}. Nothing is left of it.`, { cause: thrown })
  } finally {
    if (draft !== undefined) await rm(draft, { recursive: true, force: true })
  }
}

/** Adds the files to the existing ones. A shell or an editor in the directory stays in it. */
async function joinDirectory(draft: string, target: string, { overwrite }: { overwrite: boolean }): Promise<void> {
  const conflicts = await conflictsOf(draft, target)
  const inTheWay = overwrite ? conflicts.filter(({ isFile }) => !isFile) : conflicts
  if (inTheWay.length > 0) {
    const names = inTheWay.map(({ path }) => path).join(', ')
    const cure = inTheWay.every(({ isFile }) => isFile)
      ? 'Move them away, replace them with --overwrite, or choose another directory.'
      : 'Move them away, or choose another directory.'
    throw new ScaffoldError(`${target} has files that the project would replace: ${names}. ${cure}`)
  }
  await placeFiles(draft, target, { overwrite })
}

/** One by one: Node's own `recursive` never ends on a file system that refuses them. */
async function makeParents(target: string): Promise<void> {
  const missing: string[] = []
  for (let path = dirname(target); !existsSync(path); path = dirname(path)) missing.push(path)
  for (const path of missing.toReversed()) await mkdir(path)
}

async function copyTemplate(template: TemplateName, draft: string): Promise<void> {
  const source = join(packageRoot, 'templates', template)
  // In the workspace the templates are projects with dependencies installed.
  const filter = (path: string): boolean => !relative(source, path).split(/[/\\]/).includes('node_modules')
  await cp(source, draft, { recursive: true, filter })
  for (const [from, to] of RENAMED) if (existsSync(join(draft, from))) await rename(join(draft, from), join(draft, to))
}

interface Filling {
  readonly name: string
  readonly template: TemplateName
  readonly pm: Installer
}

/**
 * Replaces the template's name by the project's, the workspace protocol by the release, and npm's commands by the
 * package manager's.
 */
async function fillIn(draft: string, { name, template, pm }: Filling): Promise<void> {
  const version = ownVersion()
  for (const entry of await readdir(draft, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !TEXTS.has(extname(entry.name))) continue
    const path = join(entry.parentPath, entry.name)
    const text = await readFile(path, 'utf8')
    const filled = text.replaceAll(`template-${template}`, name).replaceAll('workspace:^', `^${version}`)
    await writeFile(path, extname(entry.name) === '.md' ? spokenBy(pm, filled) : filled)
  }
}

/** The version of this package, which was released together with the others. */
export function ownVersion(): string {
  const content: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))
  if (typeof content === 'object' && content !== null && 'version' in content) return String(content.version)
  throw new ScaffoldError(
    'The package of create-stream-app is damaged: its package.json has no version. Install it again.',
  )
}
