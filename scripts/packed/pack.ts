import { existsSync } from 'node:fs'
import { cp, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from './run-command.ts'

export const root: string = fileURLToPath(new URL('../..', import.meta.url))

/** `pnpm@…`: what the workspace itself is installed with. */
export async function pnpmRelease(): Promise<string> {
  const content: unknown = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  if (typeof content === 'object' && content !== null && 'packageManager' in content)
    return String(content.packageManager)
  throw new Error('package.json names no packageManager.')
}

/** Every package as it would be published. */
export interface Tarballs {
  readonly directory: string
  /** They are not needed any more. */
  remove(): Promise<void>
}

/**
 * Packs every package, or takes what another program of the same run has packed: `PACKED_TARBALLS` names the directory
 * where the first of them leaves its tarballs for the others.
 */
export async function tarballs(): Promise<Tarballs> {
  const fresh = await mkdtemp(join(tmpdir(), 'millrace-packed-'))
  const shared = process.env['PACKED_TARBALLS']
  if (shared === undefined || shared === '') {
    await packAll(fresh)
    return { directory: fresh, remove: () => rm(fresh, { recursive: true, force: true }) }
  }
  if (!existsSync(shared)) {
    await packAll(fresh)
    // Under its name it is whole, whatever ends this program meanwhile.
    await cp(fresh, `${shared}.new`, { recursive: true })
    await rename(`${shared}.new`, shared)
  }
  await rm(fresh, { recursive: true, force: true })
  return { directory: shared, remove: async () => {} }
}

/** Builds every package and packs it into `directory`. */
async function packAll(directory: string): Promise<void> {
  await runCommand('npx', ['tsc', '-b'], { cwd: root, timeoutMs: 300_000 })
  await runCommand(
    'npx',
    ['--yes', await pnpmRelease(), '-r', '--filter', './packages/*', 'pack', '--pack-destination', directory],
    { cwd: root, timeoutMs: 300_000 },
  )
}
