import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import validatePackageName from 'validate-npm-package-name'
import { filesFor, spokenBy, type Installer } from './installers.ts'
import type { TemplateName } from './templates.ts'

/** What is to be made. */
export interface ProjectPlan {
  /** Where, relative to the working directory or absolute: a directory that is empty or does not exist. */
  readonly directory: string
  readonly template: TemplateName
  readonly pm: Installer
}

/** Something that the person can mend; the message says how. */
export class ScaffoldError extends Error {
  override readonly name: string = 'ScaffoldError'
}

const packageRoot = fileURLToPath(new URL('../..', import.meta.url))

/** Files that npm would leave out of our own package, or act upon, under their own names. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['_gitignore', '.gitignore'],
  ['_dockerignore', '.dockerignore'],
])

/** In which the name of the project stands. */
const TEXTS = new Set(['.json', '.ts', '.md', '.yaml', ''])

/**
 * Why a project cannot be made in `directory`; `undefined` when it can.
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
  if (existsSync(path)) {
    const inside = contents(path)
    if (inside === undefined) return `${path} is a file. Choose another directory.`
    if (inside.length > 0)
      return `${path} is not empty: it has ${inside.slice(0, 3).join(', ')}${inside.length > 3 ? ' and more' : ''}. Choose another directory, or empty it.`
  }
  return undefined
}

/**
 * Writes a project from a template; installs nothing. The directory appears whole or not at all.
 *
 * @returns the absolute path
 * @throws {ScaffoldError} when the name cannot be one, when the directory is not empty or cannot be written
 * @example
 * await createProject({ directory: 'my-app', template: 'minimal', pm: 'npm' })
 */
export async function createProject({ directory, template, pm }: ProjectPlan): Promise<string> {
  const problem = whyNot(directory)
  if (problem !== undefined) throw new ScaffoldError(problem)
  const target = resolve(directory)
  let draft: string | undefined
  try {
    await makeParents(target)
    // Beside the target, so that it can be renamed into place in one step.
    draft = await mkdtemp(join(dirname(target), '.create-stream-app-'))
    // Such a directory is private; a project is not.
    await chmod(draft, 0o777 & ~process.umask())
    await copyTemplate(template, draft)
    await fillIn(draft, { name: basename(target), template, pm })
    for (const [file, text] of filesFor(pm)) await writeFile(join(draft, file), text)
    // Renaming onto an empty directory works on Linux and macOS only.
    if (existsSync(target)) await rmdir(target)
    await rename(draft, target)
    return target
  } catch (thrown) {
    if (draft !== undefined) await rm(draft, { recursive: true, force: true })
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new ScaffoldError(`${target} cannot be written: ${reason}. Nothing is left of it.`, { cause: thrown })
  }
}

/** One by one: Node's own `recursive` never ends where a file system takes none. */
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

/** The project's own name for the template's, the release for the workspace's protocol, the package manager's words. */
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

/** Of this package, which is that of the packages it was released with. */
export function ownVersion(): string {
  const content: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))
  if (typeof content === 'object' && content !== null && 'version' in content) return String(content.version)
  throw new ScaffoldError(
    'The package of create-stream-app is damaged: its package.json has no version. Install it again.',
  )
}

/** `undefined` for a file. */
function contents(path: string): readonly string[] | undefined {
  try {
    return readdirSync(path)
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOTDIR') return undefined
    throw new ScaffoldError(`${path} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}.`)
  }
}
