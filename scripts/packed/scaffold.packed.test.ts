import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askForKafka } from '@millrace/kafka-for-tests'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { runCommand, startCommand } from './run-command.ts'

const LIMIT_MS = 300_000

let directory = ''

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'scaffold-')))
})

afterEach(() => rm(directory, { recursive: true, force: true }))

/** As a newcomer has it, but that our packages come from this machine. */
function environment(): Record<string, string> {
  const registry = inject('registryUrl')
  return { npm_config_registry: registry, pnpm_config_registry: registry, npm_config_yes: 'true' }
}

/** What a template is tried with while it runs: words for `millrace`, and a page that tells what came of them. */
const USES = {
  minimal: { words: [['send', 'visits', '--key', 'home', 'ann']], page: '/visits/home/', shows: { home: 1 } },
  windows: {
    words: [['send', 'views', '--key', 'ann', '{"page":"/","at":1767225600000}']],
    page: '/visitor/ann/',
    shows: [{ start: 1767225600000, end: 1767225600000, value: 1 }],
  },
  'word-count': { words: [['send', 'posts', 'hello world hello']], page: '/count/hello/', shows: { hello: 2 } },
  orders: {
    words: [
      ['send', 'customers', '--key', 'c1', '{"name":"Ann","card":"4111","tier":"gold"}'],
      ['send', 'orders', '--key', 'c1', '{"id":"o1","cents":1200}'],
    ],
    page: '/spent/c1/',
    shows: { customer: 'c1', cents: 1200 },
  },
} as const

// npm takes ten seconds of processor time to install, pnpm one: once it is npm, as most will have it.
describe.each([
  { template: 'minimal', pm: 'pnpm', installs: false },
  { template: 'windows', pm: 'pnpm', installs: false },
  { template: 'word-count', pm: 'pnpm', installs: false },
  { template: 'orders', pm: 'npm', installs: true },
] as const)('npm create stream-app, template $template, with $pm', ({ template, pm, installs }) => {
  test(
    'scaffolds, installs, checks its types, passes its tests, counts, answers, and ends on SIGINT',
    { timeout: LIMIT_MS },
    async () => {
      const env = environment()
      const timeoutMs = LIMIT_MS
      await runCommand(
        'npm',
        [
          'create',
          'stream-app@latest',
          'my-app',
          '--',
          '--template',
          template,
          '--pm',
          pm,
          '--yes',
          '--no-git',
          ...(installs ? [] : ['--no-install']),
        ],
        { cwd: directory, env, timeoutMs },
      )
      const cwd = join(directory, 'my-app')
      if (!installs) await runCommand('npx', ['--yes', pnpmRelease(), 'install'], { cwd, env, timeoutMs })
      await runCommand('npm', ['run', 'typecheck'], { cwd, env, timeoutMs })
      const tests = await runCommand('npm', ['test'], { cwd, env, timeoutMs })
      expect(tests.output).toMatch(/\d+ passed/)

      await runCommand('npm', ['run', 'build'], { cwd, env, timeoutMs })
      const port = String(await freePort())
      const worker = startCommand('npm', ['start'], { cwd, env: { ...env, MILLRACE_WEB_PORT: port } })
      try {
        await eventually(
          async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).status === 200,
          worker.output,
        )
        for (const words of USES[template].words)
          await runCommand('node_modules/.bin/millrace', words, { cwd, env, timeoutMs })
        const { page, shows } = USES[template]
        await eventually(async () => {
          const answer: unknown = await (await fetch(`http://127.0.0.1:${port}${page}`)).json()
          return JSON.stringify(answer) === JSON.stringify(shows)
        }, worker.output)
      } finally {
        worker.kill('SIGINT')
      }
      // npm ends by the signal too, whatever the worker's exit code.
      await worker.ended
      expect(worker.output()).toContain('Worker has stopped')
      // They have a test on a real Kafka, too.
      if (template !== 'orders') return
      const kafka = await askForKafka()
      expect(kafka.problem).toBe('')
      const onKafka = { ...env, MILLRACE_BROKER: `kafka://${kafka.brokers}` }
      await runCommand('npm', ['run', 'test:kafka'], { cwd, env: onKafka, timeoutMs })
      await runAsImage(cwd, { ...env, MILLRACE_WEB_PORT: port })
    },
  )
})

/** What the Dockerfile copies and starts, without the image: no sources, and no packages for development. */
async function runAsImage(cwd: string, env: Readonly<Record<string, string>>): Promise<void> {
  const [program = '', ...args]: readonly string[] = JSON.parse(
    /^CMD (?<words>.*)$/m.exec(await readFile(join(cwd, 'Dockerfile'), 'utf8'))?.groups?.['words'] ?? '[]',
  )
  await runCommand('npm', ['prune', '--omit=dev'], { cwd, env, timeoutMs: LIMIT_MS })
  for (const left of ['src', 'test', 'tsconfig.json', 'tsconfig.build.json'])
    await rm(join(cwd, left), { recursive: true })
  const worker = startCommand(program, args, { cwd, env })
  try {
    const ready = `http://127.0.0.1:${env['MILLRACE_WEB_PORT']}/health/ready`
    await eventually(async () => (await fetch(ready)).status === 200, worker.output)
  } finally {
    worker.kill('SIGTERM')
  }
  expect([await worker.ended, worker.output()]).toEqual([0, expect.stringContaining('Worker has stopped')])
}

/** The pnpm that the workspace itself uses. */
function pnpmRelease(): string {
  return inject('packageManager')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  await new Promise((closed) => server.close(closed))
  if (address === null || typeof address === 'string') throw new Error('There is no free port.')
  return address.port
}

/** Waits until it is so, or says what the worker printed. */
async function eventually(isSo: () => Promise<boolean>, output: () => string): Promise<void> {
  const endsAt = Date.now() + 60_000
  for (;;) {
    const now = await isSo().catch(() => false)
    if (now) return
    if (Date.now() > endsAt)
      throw new Error(`It did not come to that within a minute. The worker printed:\n${output()}`)
    await new Promise((later) => setTimeout(later, 50))
  }
}
