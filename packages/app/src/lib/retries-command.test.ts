import { expect, test } from 'vitest'
import { createApp } from './app.ts'
import { runCommand } from './fixtures/run-command.fixture.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

test('retries says what waits and when it is next, and a reset forgets it', async () => {
  const settings = { id: 'shop', broker: 'memory:', commitInterval: '20ms', web: { enabled: false } } as const
  const app = createApp(settings, { log: quiet })
  const orders = app.topic('orders', { key: 'string', value: 'string', partitions: 1 })
  app.agent(
    'charge',
    orders,
    async (stream) => {
      for await (const order of stream) throw new Error(`no answer for ${order}`)
    },
    { retry: { delays: ['1h'] } },
  )
  await app.start()
  try {
    expect(await runCommand(app, 'retries')).toMatchObject({ code: 0, stdout: 'No event of app "shop" waits.\n' })
    for (const key of ['a', 'a', 'b', 'c']) await orders.send({ key, value: `order of ${key}` })
    await expect.poll(async () => (await runCommand(app, 'retries', 'charge')).stdout).toMatch(/^charge +4 +\d{4}-/m)
    const { stdout } = await runCommand(app, 'retries', 'charge', '--limit', '1')
    expect(stdout).toMatch(/^charge: the next 1$/m)
    expect(stdout).toMatch(/^\d{4}-\S+Z +orders\/0@0 +a +1 +1 +Error · no answer for order of a$/m)
    const [listed] = JSON.parse((await runCommand(app, 'retries', '--json')).stdout)
    expect(listed).toMatchObject({ name: 'charge', topics: ['shop-charge-retries-changelog'], events: 4 })
    expect(listed.next.map(({ key, behind, attempts }: Record<string, unknown>) => [key, behind, attempts])).toEqual([
      ['a', 1, 1],
      ['b', 0, 1],
      ['c', 0, 1],
    ])
    expect((await runCommand(app, 'retries', 'bill')).code).toBe(2)
    expect((await runCommand(app, 'reset', '--dry-run')).stdout).toMatch(
      /shop-charge-retries-changelog +changelog +delete/,
    )
    expect((await runCommand(app, 'topology')).stdout).toBe('orders -> [charge]  retries after 1h\n')
  } finally {
    await app.stop()
  }
})
