import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

const command = fileURLToPath(new URL('../../create-stream-app.mjs', import.meta.url))

let directory = ''

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'create-stream-app-')))
})

afterEach(() => rm(directory, { recursive: true, force: true }))

interface Outcome {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

/** Runs the command without a terminal. */
function run(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd: string = directory,
): Promise<Outcome> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [command, ...words], { cwd, env: { ...process.env, ...env } })
    let output = ''
    let errors = ''
    child.stdout.on('data', (text) => (output += String(text)))
    child.stderr.on('data', (text) => (errors += String(text)))
    child.stdin.end()
    child.once('error', failed)
    child.once('close', (code) => done({ code, output, errors }))
  })
}

test('asks nothing and takes the defaults without a terminal', async () => {
  const { code, output } = await run(['--no-install'])
  expect(code).toBe(0)
  expect(output).toContain('npm run dev')
  expect(await readdir(join(directory, 'my-stream-app'))).toContain('.git')
})

test('names files that would be replaced, and writes nothing', async () => {
  await run(['shop', '--no-install', '--no-git'])
  const { code, errors } = await run(['shop', '--no-install'])
  expect(code).toBe(1)
  expect(errors).toContain('package.json')
  expect(errors).toContain('--overwrite')
})

test('"." scaffolds into the shell’s directory, which stays the same', async () => {
  const shop = join(directory, 'shop')
  await mkdir(join(shop, '.git'), { recursive: true })
  const before = await stat(shop)
  const { code, output } = await run(['.', '--no-install'], {}, shop)
  expect([code, output]).toEqual([0, expect.not.stringContaining('cd ')])
  expect((await stat(shop)).ino).toBe(before.ino)
  expect(await readdir(shop)).toContain('package.json')
})

test('an unreachable registry leaves a complete project, nothing half installed, and a hint', async () => {
  const unreachable = { npm_config_registry: 'http://127.0.0.1:9/', npm_config_fetch_retries: '0' }
  const { code, output } = await run(['shop', '--pm', 'npm', '--no-git'], unreachable)
  expect(code).toBe(1)
  expect(output).toContain('run "npm install" in shop')
  expect(existsSync(join(directory, 'shop', 'src', 'app.ts'))).toBe(true)
  expect(existsSync(join(directory, 'shop', 'node_modules'))).toBe(false)
})

test('the help names the templates', async () => {
  const { code, output } = await run(['--help'])
  expect(code).toBe(0)
  expect(output).toContain('word-count')
})
