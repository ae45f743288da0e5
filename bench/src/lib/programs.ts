import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../../..')

/** The measured programs, compiled, beside packages installed from tarballs: what people run, not the workspace's sources. */
export interface Programs {
  readonly directory: string
  command(name: string): readonly string[]
  remove(): void
}

/** The workspace's sources through tsx: quicker to try a change with, a little slower to start. */
export function sourcePrograms(): Programs {
  const children = join(import.meta.dirname, '../children')
  return {
    directory: children,
    command: (name) => [process.execPath, '--import', import.meta.resolve('tsx'), join(children, `${name}.ts`)],
    remove: () => {},
  }
}

/** Builds, packs and installs all packages into a temporary directory (about 20 s). */
export function installPrograms(): Programs {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const pnpm = ['--yes', JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager]
  const run = (command: string, args: readonly string[], cwd: string): void => {
    execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  }
  run(join(root, 'node_modules/.bin/tsc'), ['-b', 'packages/app'], root)
  const tarballs: Record<string, string> = {}
  for (const name of packagesOf('app')) {
    const { name: packageName, version } = manifestOf(name)
    run('npx', [...pnpm, 'pack', '--pack-destination', directory], join(root, 'packages', name))
    tarballs[packageName] = `file:${join(directory, `millrace-${name}-${version}.tgz`)}`
  }
  const manifest = {
    name: 'bench-programs',
    private: true,
    type: 'module',
    dependencies: { ...tarballs, kafkajs: '2.2.4' },
    overrides: tarballs,
  }
  writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest))
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], directory)
  run(join(root, 'node_modules/.bin/tsc'), ['-b', 'bench'], root)
  mkdirSync(join(directory, 'programs'))
  cpSync(join(root, 'bench/dist/bench/src/children'), join(directory, 'programs'), { recursive: true })
  return {
    directory,
    command: (name) => [process.execPath, join(directory, 'programs', `${name}.js`)],
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
}

function manifestOf(directory: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'packages', directory, 'package.json'), 'utf8'))
}

/** A package of the workspace and all that it depends on there. */
function packagesOf(name: string, found: Set<string> = new Set()): ReadonlySet<string> {
  if (found.has(name)) return found
  found.add(name)
  for (const dependency of Object.keys(manifestOf(name).dependencies ?? {}))
    if (dependency.startsWith('@millrace/')) packagesOf(dependency.slice('@millrace/'.length), found)
  return found
}
