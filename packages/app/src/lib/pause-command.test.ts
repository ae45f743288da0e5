import { systemClock } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApp } from './app.ts'
import { runCommand } from './fixtures/run-command.fixture.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

async function until(what: string, condition: () => boolean): Promise<void> {
  const clock = systemClock()
  const endMs = clock.monotonic() + 10_000
  while (!condition()) {
    if (clock.monotonic() > endMs) throw new Error(`Not in time: ${what}`)
    await clock.sleep(2)
  }
}

describe('pause and resume ask a running worker', () => {
  const app = createApp(
    { id: 'shop', broker: 'memory:', web: { host: '127.0.0.1', port: 0, admin: true } },
    { log: quiet },
  )
  const orders = app.topic('orders', { value: 'number', partitions: 2 })
  const charged: number[] = []
  const mailed: number[] = []
  app.agent('charge', orders, async (stream) => {
    for await (const order of stream) charged.push(order)
  })
  app.agent('mail', orders, async (stream) => {
    for await (const order of stream) mailed.push(order)
  })
  beforeAll(() => app.start())
  afterAll(() => app.stop())
  const at = (): readonly string[] => ['--worker', app.web.url ?? 'no site']

  it('holds back one agent while others read the same topic, and shows who has paused it and why', async () => {
    const paused = await runCommand(app, 'pause', 'charge', '--why', 'The bank is down', ...at())
    expect([paused.code, paused.stdout]).toEqual([0, 'Agent "charge": paused.\n'])
    for (let order = 0; order < 20; order++) await orders.send({ value: order })
    await until('the other agent is through', () => mailed.length === 20)
    expect(charged).toEqual([])
    const stats: unknown = await (await fetch(`${app.web.url}stats`)).json()
    expect(stats).toMatchObject({
      agents: {
        charge: {
          paused: { since: expect.stringMatching(/^\d{4}-/), by: expect.any(String), why: 'The bank is down' },
        },
        mail: { processed: 20 },
      },
    })
    const topology = await runCommand(app, 'topology', ...at())
    expect(topology.stdout).toMatch(/orders -> \[charge\] \(paused since \d\S+Z by .+: The bank is down\)\n/)
    expect(topology.stdout).toContain('orders -> [mail]\n')
    expect(await (await fetch(`${app.web.url}metrics`)).text()).toContain('millrace_agent_paused{agent="charge"} 1')
    const health = await fetch(`${app.web.url}health/ready`)
    expect([health.status, await health.json()]).toMatchObject([
      200,
      { paused: { charge: { why: 'The bank is down' } } },
    ])

    expect(await runCommand(app, 'resume', 'charge', ...at())).toMatchObject({ code: 0 })
    await until('it has caught up', () => charged.length === 20)
    expect(app.stats()?.agents['charge']?.paused).toBeUndefined()
  })

  it('names an agent that is mistyped, and does nothing without a worker', async () => {
    const typo = await runCommand(app, 'pause', 'chrage', ...at())
    expect([typo.code, typo.stderr]).toEqual([2, expect.stringContaining('Did you mean "charge"?')])
    const alone = await runCommand(app, 'resume', 'charge', '--worker', 'http://127.0.0.1:1')
    expect([alone.code, alone.stderr]).toEqual([1, expect.stringContaining('WORKER_UNREACHABLE')])
    await expect(app.agents.pause('chrage')).rejects.toMatchObject({ code: 'AGENT_MISSING' })
    const stopped = createApp({ id: 'other', broker: 'memory:' }, { log: quiet })
    await expect(stopped.agents.pause('charge')).rejects.toMatchObject({ code: 'NO_WORKER' })
  })
})
