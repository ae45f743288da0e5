import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import { serveTarballs } from './local-registry.ts'
import { runCommand } from './run-command.ts'

declare module 'vitest' {
  interface ProvidedContext {
    registryUrl: string
    /** `pnpm@…`, of the workspace. */
    packageManager: string
    /** The packages that it serves. */
    packageNames: readonly string[]
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Builds and packs every package, and serves them for the time of the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-packed-'))
  const { packageManager } = await manifestOf(root)
  await runCommand('npx', ['tsc', '-b'], { cwd: root, timeoutMs: 300_000 })
  await runCommand(
    'npx',
    ['--yes', packageManager, '-r', '--filter', './packages/*', 'pack', '--pack-destination', directory],
    { cwd: root, timeoutMs: 300_000 },
  )
  const upstream = await runCommand('npm', ['config', 'get', 'registry'], { cwd: root, timeoutMs: 30_000 })
  const registry = await serveTarballs(directory, upstream.output.trim())
  project.provide('registryUrl', registry.url)
  project.provide('packageManager', packageManager)
  project.provide('packageNames', registry.names)
  return async () => {
    await registry.close()
    await rm(directory, { recursive: true, force: true })
  }
}

async function manifestOf(directory: string): Promise<{ readonly packageManager: string }> {
  const content: { readonly default: { readonly packageManager: string } } = await import(
    join(directory, 'package.json'),
    {
      with: { type: 'json' },
    }
  )
  return content.default
}
