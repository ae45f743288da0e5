import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
// Within the repository, so that vitest is found; node_modules, so that no other run picks the files up.
const directory = mkdtempSync(join(root, 'node_modules', '.totals-'))

afterAll(() => rmSync(directory, { recursive: true }))

/** Runs vitest on test files and returns the last line and the exit code. */
function lastLine(
  files: Readonly<Record<string, string>>,
): Promise<{ readonly line: string | undefined; readonly code: number }> {
  const run = mkdtempSync(join(directory, 'run-'))
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(run, name), `import { test, describe, beforeAll } from 'vitest'\n${text}`)
  cpSync(join(root, 'scripts', 'vitest-totals.ts'), join(run, 'vitest-totals.ts'))
  writeFileSync(
    join(run, 'vitest.config.mjs'),
    `export default { root: ${JSON.stringify(run)}, test: { include: ['*.test.ts'], exclude: [], reporters: ['default', ${JSON.stringify(join(run, 'vitest-totals.ts'))}] } }`,
  )
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [vitest, 'run', '--config', join(run, 'vitest.config.mjs')],
      { cwd: run },
      (error, stdout) => {
        resolve({ line: stdout.trimEnd().split('\n').at(-1), code: typeof error?.code === 'number' ? error.code : 0 })
      },
    )
  })
}

test.concurrent('counts tests, and a file that does not load as one that failed', async () => {
  const files = {
    'good.test.ts': "test('a', () => {})\ntest.each([1, 2])('%s', () => {})\ntest.skip('b', () => {})\ntest.todo('c')",
    'bad.test.ts': "test('a', () => { throw new Error('no') })",
    'broken.test.ts': "import './nowhere.ts'",
  }
  expect(await lastLine(files)).toEqual({ line: '3 passed, 2 failed, 2 skipped', code: 1 })
})

test.concurrent('a run without failures', async () => {
  expect(await lastLine({ 'good.test.ts': "test('a', () => {})" })).toEqual({
    line: '1 passed, 0 failed, 0 skipped',
    code: 0,
  })
})

test.concurrent('an error outside any test, and a hook that fails', async () => {
  expect(await lastLine({ 'stray.test.ts': "test('a', () => { void Promise.reject(new Error('stray')) })" })).toEqual({
    line: '1 passed, 1 failed, 0 skipped',
    code: 1,
  })
  const hook = "describe('x', () => { beforeAll(() => { throw new Error('hook') })\ntest('a', () => {}) })"
  expect(await lastLine({ 'hook.test.ts': hook })).toMatchObject({
    line: expect.stringMatching(/^0 passed, 1 failed/),
    code: 1,
  })
})
