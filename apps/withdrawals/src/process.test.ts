import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const file = new URL('./app.ts', import.meta.url)

describe('withdrawals, from the command line', () => {
  let directory: string
  const started: AppProcess[] = []
  const start = (...args: string[]): AppProcess => {
    const one = startApp(file, [...args, '--broker', `embedded:${directory}`])
    started.push(one)
    return one
  }
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'withdrawals-'))
  })
  afterAll(async () => {
    await Promise.all(started.map((one) => one.kill()))
    await rm(directory, { recursive: true, force: true })
  })

  it('produces withdrawals, which a worker sums', async () => {
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

  it('shows its own commands and their defaults in the help', async () => {
    const help = start('--help')
    expect(await help.exited).toBe(0)
    expect(help.output()).toMatch(/produce .*Produce example withdrawals/)
    expect(help.output()).toMatch(/worker/)
    const own = start('produce', '--help')
    expect(await own.exited).toBe(0)
    expect(own.output()).toMatch(/--max-latency.*default: 0\.5/s)
  })

  it('runs a daemon until it is told to stop', async () => {
    const daemon = start('heartbeat', '--every', '0.1')
    await daemon.said('STARTING DAEMON')
    daemon.signal('SIGINT')
    expect(await daemon.exited).toBe(0)
  })

  it('refuses an option that it does not know, naming the nearest', async () => {
    const wrong = start('produce', '--max-latncy', '1')
    expect(await wrong.exited).toBe(2)
    expect(wrong.output()).toContain('--max-latency')
  })
})
