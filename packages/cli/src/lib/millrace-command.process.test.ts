import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageVersion } from '@millrace/core'
import { describe, expect, test } from 'vitest'
import { fixture, runMillrace } from '../fixtures/run-millrace.ts'

// The real command, as a child process.

const app = ['-A', 'app.ts']

describe.concurrent('a command', () => {
  test('finds its app file, writes its result, exits with 0', async () => {
    expect(await runMillrace([...app, 'table', 'word_counts', 'the'], { typescript: true })).toEqual({
      code: 0,
      stdout: '2\n',
      stderr: '',
    })
  })

  test('exits with 1 when it failed', async () => {
    expect(await runMillrace([...app, 'table', 'word_counts', 'nope'])).toMatchObject({ code: 1, stdout: '' })
  })

  test('exits with 2 when it was typed wrong', async () => {
    const { code, stdout, stderr } = await runMillrace([...app, 'agents', '--comit-interval', '1s'])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('Did you mean --commit-interval?')
  })
})

describe.concurrent('the app file', () => {
  test.each([
    [['-A', 'two-apps.ts'], 2, 'exports several apps: first, second'],
    [['-A', 'two-apps.ts:nope'], 2, 'has no export "nope"'],
    [['-A', 'no-app.ts'], 2, 'exports no app: it exports settings'],
    [['-A', 'nowhere.ts'], 2, `There is no file ${fixture('nowhere.ts')} (named by -A: "nowhere.ts")`],
    [
      ['-A', 'broken/untyped/app.ts'],
      2,
      `needs "type": "module" in its package.json, and ${fixture('broken/untyped/package.json')} lacks it`,
    ],
    [['-A', 'broken/syntax-error.ts'], 1, 'syntax-error.ts:3:13: ERROR: Expected identifier'],
    [['-A', 'broken/syntax-error.mjs'], 1, "syntax-error.mjs:3: SyntaxError: Unexpected token '='"],
    [['-A', 'broken/throws.ts'], 1, 'throws.ts:7:'],
    [['-A', 'broken/missing-import.ts'], 1, 'does-not-exist.ts'],
    [[], 2, 'agents needs an app, and none was named'],
  ])('%j', async (words, exitCode, message) => {
    const { code, stdout, stderr } = await runMillrace([...words, 'agents'], { typescript: true })
    expect(stderr).toContain(message)
    expect(stderr).toContain(exitCode === 1 ? 'APP_UNLOADABLE' : 'APP_NOT_FOUND')
    expect([code, stdout]).toEqual([exitCode, ''])
  })

  test('may be named by MILLRACE_APP, with an export', async () => {
    expect(
      (await runMillrace(['agents'], { typescript: true, env: { MILLRACE_APP: 'two-apps.ts:second' } })).code,
    ).toBe(0)
  })

  test('is found relative to --workdir', async () => {
    expect(
      (
        await runMillrace(['--workdir', 'fixtures', '-A', './app.ts', 'agents'], {
          typescript: true,
          cwd: fixture('..'),
        })
      ).code,
    ).toBe(0)
    expect(await runMillrace(['--workdir', 'nowhere', 'agents'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('nowhere'),
    })
  })
})

describe.concurrent('help and version', () => {
  test('help lists the commands of the app beside the built-in ones', async () => {
    const { code, stdout } = await runMillrace([...app, '--help'])
    expect(code).toBe(0)
    for (const command of ['worker', 'send', 'agents', 'tables', 'topics', 'table', 'produce'])
      expect(stdout).toContain(`millrace ${command}`)
  })

  test('help reports an app that cannot be loaded and shows the built-in commands', async () => {
    const { code, stdout, stderr } = await runMillrace(['-A', 'nowhere.ts', '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain('millrace worker')
    expect(stderr).toContain('nowhere.ts')
  })

  test('without words: help, as wrong usage', async () => {
    const { code, stdout, stderr } = await runMillrace([])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('millrace worker')
  })

  test('reads .env of its working directory; existing variables win', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-env-'))
    writeFileSync(join(directory, '.env'), `MILLRACE_APP=${fixture('app.ts')}\n`)
    expect(await runMillrace(['table', 'word_counts', 'the'], { typescript: true, cwd: directory })).toMatchObject({
      code: 0,
      stdout: '2\n',
    })
    const env = { MILLRACE_APP: fixture('nowhere.ts') }
    expect((await runMillrace(['agents', '--workdir', directory], { env })).stderr).toContain('nowhere.ts')
    rmSync(directory, { recursive: true })
  })

  test('version', async () => {
    expect((await runMillrace(['--version'])).stdout).toBe(
      `millrace ${packageVersion(import.meta.url)} (Node.js ${process.version})\n`,
    )
    expect(JSON.parse((await runMillrace(['--version', '--json'])).stdout)).toMatchObject({
      name: 'millrace',
      version: packageVersion(import.meta.url),
    })
  })

  test('an unknown command', async () => {
    expect(await runMillrace([...app, 'tabels'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean tables?'),
    })
  })
})
