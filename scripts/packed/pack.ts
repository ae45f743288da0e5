import { readFile } from 'node:fs/promises'
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

/** Builds every package and packs it, as it would be published, into `directory`. */
export async function packAll(directory: string): Promise<void> {
  await runCommand('npx', ['tsc', '-b'], { cwd: root, timeoutMs: 300_000 })
  await runCommand(
    'npx',
    ['--yes', await pnpmRelease(), '-r', '--filter', './packages/*', 'pack', '--pack-destination', directory],
    { cwd: root, timeoutMs: 300_000 },
  )
}
