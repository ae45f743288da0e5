import { expect, test } from 'vitest'
import { createApp } from './app.ts'
import { runCommand } from './fixtures/run-command.fixture.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

test('dlq says what a timer was whose handler failed, and hands it out again', async () => {
  const settings = { id: 'shop', broker: 'memory:', commitInterval: '20ms', web: { enabled: false } } as const
  const app = createApp(settings, { log: quiet })
  const orders = app.topic('orders', { key: 'string', value: 'string', partitions: 1 })
  const reminders = app.keyTimers('reminders', { key: 'string', value: 'string', clock: 'wall' })
  const mood = { isBroken: true }
  const seen: string[] = []
  app.agent('order', orders, async (stream) => {
    for await (const { key, value } of stream.events()) reminders.set(key, 'unpaid', app.clock.now(), value)
  })
  app.agent(
    'remind',
    reminders,
    async (fired) => {
      for await (const { key, name, value } of fired) {
        if (mood.isBroken) throw new Error('no mail today')
        seen.push(`${key} ${name} ${value}`)
      }
    },
    { onError: 'deadLetter' },
  )
  await app.start()
  try {
    await orders.send({ key: 'order-7', value: 'Ann' })
    const what = /timer unpaid of order-7 in reminders/
    await expect.poll(async () => (await runCommand(app, 'dlq', 'list', 'remind')).stdout).toMatch(what)
    const { stdout } = await runCommand(app, 'dlq', 'show', 'remind', '--latest')
    expect(stdout).toMatch(/^due +timer unpaid of order-7 in reminders, partition 0, \d{4}-\S+Z$/m)
    expect(stdout).toMatch(/^value +.*"name":"unpaid".*"value":"Ann".*\(timer\)$/m)
    expect(stdout).not.toMatch(/^from/m)
    const [listed] = JSON.parse((await runCommand(app, 'dlq', 'list', 'remind', '--json')).stdout)
    expect(listed.newest[0].due).toMatchObject({ kind: 'timer', state: 'reminders', key: 'order-7', timer: 'unpaid' })

    mood.isBroken = false
    expect(await runCommand(app, 'dlq', 'replay', 'remind', '--all')).toEqual({
      code: 0,
      stdout: '1 dead letter of agent "remind" sent back.\n',
      stderr: '',
    })
    await expect.poll(() => seen).toEqual(['order-7 unpaid Ann'])
  } finally {
    await app.stop()
  }
})

test('dlq refuses to replay what was due in a state that the app does not have any more', async () => {
  const app = createApp(
    { id: 'shop', broker: 'memory:', commitInterval: '20ms', web: { enabled: false } },
    { log: quiet },
  )
  const orders = app.topic('orders', { key: 'string', value: 'string', partitions: 1 })
  const letters = app.topic('shop-order-dlq', { key: 'string', value: 'string', partitions: 1 })
  app.agent('order', orders, async (stream) => {
    for await (const _ of stream);
  })
  await app.start()
  try {
    const facts = { agent: 'order', topic: 'reminders', partition: '0', offset: '1', timestamp: '2', due: 'timer' }
    const headers = Object.fromEntries(Object.entries(facts).map(([name, text]) => [`millrace-${name}`, text]))
    await letters.send({ key: 'order-7', value: 'Ann', headers: { 'millrace-timer': 'unpaid', ...headers } })
    const one = await runCommand(app, 'dlq', 'replay', 'order', '0', '0')
    expect(one.code).toBe(1)
    expect(one.stderr).toMatch(/DEAD_LETTER_UNREAD[^]*due in "reminders" \(timer\)[^]*Otherwise do by hand/)
    const all = await runCommand(app, 'dlq', 'replay', 'order', '--all')
    expect([all.code, all.stderr]).toEqual([
      1,
      expect.stringContaining('agent "order" does not read what is due there'),
    ])
  } finally {
    await app.stop()
  }
})
