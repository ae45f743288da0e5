// Packs every package and lets publint and arethetypeswrong look at the tarballs, as their users will get them.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tarballs } from './pack.ts'
import { runCommand } from './run-command.ts'

const home = fileURLToPath(new URL('.', import.meta.url))
const packed = await tarballs()
try {
  const files = (await readdir(packed.directory))
    .filter((name) => name.endsWith('.tgz'))
    .map((name) => join(packed.directory, name))
  const failed = (
    await Promise.all(
      files.map(async (tarball) => {
        const problems: string[] = []
        for (const [tool, ...words] of [
          ['publint', tarball, '--strict'],
          ['attw', tarball, '--profile', 'esm-only', '--no-emoji', '--format', 'ascii'],
        ] as const) {
          try {
            await runCommand(join(home, 'node_modules/.bin', tool), words, { cwd: home, timeoutMs: 300_000 })
          } catch (error) {
            problems.push(String(error))
          }
        }
        return problems
      }),
    )
  ).flat()
  for (const problem of failed) console.error(problem)
  if (failed.length > 0) process.exitCode = 1
} finally {
  await packed.remove()
}
