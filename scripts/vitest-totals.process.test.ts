import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { slowestOf } from './vitest-totals.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
// Within the repository, so that vitest is found; node_modules, so that no other run picks the files up.
const directory = mkdtempSync(join(root, 'node_modules', '.totals-'))

afterAll(() => rmSync(directory, { recursive: true }))

/** Runs vitest on test files and returns the last line and the exit code. */
function lastLine(
  files: Readonly<Record<string, string>>,
): Promise<{ readonly line: string | undefined; readonly code: number; readonly output: string }> {
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
        const code = typeof error?.code === 'number' ? error.code : 0
        resolve({ line: stdout.trimEnd().split('\n').at(-1), code, output: stdout })
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
  expect(await lastLine(files)).toMatchObject({ line: '3 passed, 2 failed, 2 skipped', code: 1 })
})

test.concurrent('a run without failures', async () => {
  expect(await lastLine({ 'good.test.ts': "test('a', () => {})" })).toMatchObject({
    line: '1 passed, 0 failed, 0 skipped',
    code: 0,
  })
})

test.concurrent('an error outside any test, and a hook that fails', async () => {
  expect(
    await lastLine({ 'stray.test.ts': "test('a', () => { void Promise.reject(new Error('stray')) })" }),
  ).toMatchObject({
    line: '1 passed, 1 failed, 0 skipped',
    code: 1,
  })
  const hook = "describe('x', () => { beforeAll(() => { throw new Error('hook') })\ntest('a', () => {}) })"
  expect(await lastLine({ 'hook.test.ts': hook })).toMatchObject({
    line: expect.stringMatching(/^0 passed, 1 failed/),
    code: 1,
  })
})

test('of many files the ten that took longest with loading, longest first', async () => {
  const timed = (file: string, collectDuration: number, duration: number): Parameters<typeof slowestOf>[0][number] => ({
    relativeModuleId: file,
    diagnostic: () => ({ collectDuration, duration }),
  })
  const quick = Array.from({ length: 11 }, (_, i) => timed(`${i}.test.ts`, 0, 100 * i))
  const lines = slowestOf([...quick, timed('loads.test.ts', 61_000, 500)])
  expect(lines).toHaveLength(10)
  expect(lines.slice(0, 2)).toEqual(['   61.5 s  loads.test.ts', '    1.0 s  10.test.ts'])
  const files = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`${i}.test.ts`, "test('a', () => {})"]))
  const { output, line } = await lastLine(files)
  expect(output).toMatch(/Slowest files:\n( +\d+\.\d s  \d+\.test\.ts\n){10}\n/)
  expect(line).toBe('11 passed, 0 failed, 0 skipped')
})
