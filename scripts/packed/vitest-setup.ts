import type { TestProject } from 'vitest/node'
import { serveTarballs } from './local-registry.ts'
import { pnpmRelease, root, tarballs } from './pack.ts'
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

/** Builds and packs every package, and serves them for the time of the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const packed = await tarballs()
  const upstream = await runCommand('npm', ['config', 'get', 'registry'], { cwd: root, timeoutMs: 30_000 })
  const registry = await serveTarballs(packed.directory, upstream.output.trim())
  project.provide('registryUrl', registry.url)
  project.provide('packageManager', await pnpmRelease())
  project.provide('packageNames', registry.names)
  return async () => {
    await registry.close()
    await packed.remove()
  }
}
