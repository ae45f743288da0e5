import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundled } from '@millrace/programs-for-tests'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const source = new URL('./app.ts', import.meta.url)
const file = await bundled(source)
const program = new URL('../../../packages/cli/millrace.mjs', import.meta.url)

describe('withdrawals, from the command line', () => {
  let directory: string
  const started: AppProcess[] = []
  const start = (...args: string[]): AppProcess => run(file, args)
  const run = (what: URL, args: readonly string[]): AppProcess => {
    const one = startApp(what, [...args, '--broker', `embedded:${directory}`])
    started.push(one)
    return one
  }
  const jsonOf = async (one: AppProcess): Promise<{ readonly name: string }[]> => {
    expect(await one.exited).toBe(0)
    return JSON.parse(one.stdout())
  }
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'withdrawals-'))
  })
  afterAll(async () => {
    await Promise.all(started.map((one) => one.kill()))
    await rm(directory, { recursive: true, force: true })
  })

  it('A script that calls app.main is a program: it starts a worker, and lists agents, models and more', async () => {
    expect((await jsonOf(start('agents', '--json'))).map(({ name }) => name)).toEqual([
      'track-users',
      'track-countries',
    ])
    expect((await jsonOf(start('models', '--json'))).length).toBeGreaterThan(0)
    const worker = start('worker', '-l', 'info', '--no-web')
    await worker.said('Worker is ready')
    expect(await worker.stop()).toBe(0)
  })

  it('The program millrace is there without that, and starts a worker of the app that -A points at', async () => {
    const worker = run(program, ['-A', fileURLToPath(source), 'worker', '-l', 'info', '--no-web'])
    await worker.said('Worker is ready')
    expect(worker.output()).toContain('"app":"withdrawals"')
    expect(await worker.stop()).toBe(0)
  })

  it('-A takes a path, and after a colon the name of the export that the app has', async () => {
    const agents = await jsonOf(run(program, ['-A', `${fileURLToPath(source)}:app`, 'agents', '--json']))
    expect(agents.map(({ name }) => name)).toContain('track-users')
    const wrong = run(program, ['-A', `${fileURLToPath(source)}:withdrawals`, 'agents'])
    expect(await wrong.exited).toBe(2)
    expect(wrong.output()).toContain('APP_NOT_FOUND')
  })

  it('--help lists the subcommands of the app beside the built-in ones', async () => {
    const help = start('--help')
    expect(await help.exited).toBe(0)
    expect(help.output()).toMatch(/produce .*Produce example withdrawals/)
    expect(help.output()).toMatch(/worker/)
  })

  it('A command of your own sends example data into the stream processors', async () => {
    const produce = start('produce', '7', '--max-latency', '0', '--max-messages', '300')
    expect(await produce.exited).toBe(0)
    expect(produce.output()).toContain('Done setting up. SENDING!\n+SEND 0\n')
    const worker = start('worker', '--no-web', '--commit-interval', '100ms')
    await worker.said('Worker is ready')
    // The sums are right in app.test.ts; here it is enough that they come, through the command line.
    for (;;) {
      const table = start('table', 'country_totals', '--json')
      expect(await table.exited).toBe(0)
      const rows: { key: string; value: number }[] = JSON.parse(table.output())
      if (rows.some(({ key }) => key === 'country_0') && rows.length > 1) break
    }
    expect(await worker.stop()).toBe(0)
  })

  it('A command takes options and positional arguments', async () => {
    const own = start('produce', '--help')
    expect(await own.exited).toBe(0)
    expect(own.output()).toMatch(/--max-latency.*default: 0\.5/s)
    expect(own.output()).toMatch(/seed.*default: 1/s)
    const wrong = start('produce', '--max-latncy', '1')
    expect(await wrong.exited).toBe(2)
    expect(wrong.output()).toContain('--max-latency')
    const word = start('produce', 'seven')
    expect(await word.exited).toBe(2)
    expect(word.output()).toContain('seed')
  })

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'A daemon command goes on when its handler has returned, until Ctrl-C or another signal (%s)',
    async (signal) => {
      const daemon = start('heartbeat', '--every', '0.1')
      await daemon.said('STARTING DAEMON')
      daemon.signal(signal)
      expect(await daemon.exited).toBe(0)
    },
  )
})
