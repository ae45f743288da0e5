import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { runCommand } from './run-command.ts'

const LIMIT_MS = 180_000

let cwd = ''

beforeEach(async () => {
  cwd = await realpath(await mkdtemp(join(tmpdir(), 'types-')))
})

afterEach(() => rm(cwd, { recursive: true, force: true }))

test(
  'the type definitions of every package need nothing that is not among its dependencies',
  { timeout: LIMIT_MS },
  async () => {
    const names = inject('packageNames').filter((name) => name.startsWith('@millrace/'))
    const manifest = {
      private: true,
      type: 'module',
      // conformance and testing are for test files: vitest is a peer of theirs.
      dependencies: { ...Object.fromEntries(names.map((name) => [name, '*'])), typescript: '7.0.2', vitest: '4.1.12' },
    }
    await writeFile(join(cwd, 'package.json'), JSON.stringify(manifest))
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable'],
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      // No @types/node of its own.
      types: [],
    }
    await writeFile(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
    for (const name of names) {
      const file = `${name.replace('@millrace/', '')}.ts`
      await writeFile(
        join(cwd, file),
        `import * as everything from '${name}'\nexport const names = Object.keys(everything)\n`,
      )
    }
    const registry = inject('registryUrl')
    const env = { npm_config_registry: registry, pnpm_config_registry: registry }
    await runCommand('npx', ['--yes', inject('packageManager'), 'install', '--ignore-scripts'], {
      cwd,
      env,
      timeoutMs: LIMIT_MS,
    })
    const { output } = await runCommand('node_modules/.bin/tsc', [], { cwd, timeoutMs: LIMIT_MS })
    expect(output).toBe('')
  },
)
