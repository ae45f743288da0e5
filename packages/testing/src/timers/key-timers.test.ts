import { createApp, json } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const MINUTE = 60_000
const NOW = Date.UTC(2026, 0, 1)

interface Order {
  readonly action: 'place' | 'pay' | 'remind again'
  readonly at?: number
}

type Guarantee = 'at-least-once' | 'exactly-once'
const guarantees: readonly Guarantee[] = ['at-least-once', 'exactly-once']

function ordersApp(clock: 'wall' | 'event', processingGuarantee: Guarantee = 'at-least-once', partitions = 2) {
  const app = createApp({ id: 'orders', processingGuarantee, idleAfter: false, commitInterval: '100ms' })
  const orders = app.topic('orders', { key: 'string', value: json<Order>(), partitions })
  const mails = app.topic('mails', { key: 'string', value: 'json', partitions: 1 })
  const reminders = app.keyTimers('reminders', { key: 'string', value: 'string', clock })
  app.agent('orders', orders, async (stream) => {
    for await (const { key, value, timestamp } of stream.events()) {
      if (value.action === 'pay') reminders.cancel(key, 'unpaid')
      else reminders.set(key, 'unpaid', value.at ?? timestamp + 10 * MINUTE, value.action)
    }
  })
  app.agent(
    'remind',
    reminders,
    async (fired) => {
      for await (const { key, name, at, value, lateByMs } of fired) {
        expect(reminders.get(key, name)).toBeUndefined()
        if (key.startsWith('bad')) throw new Error('never works')
        await mails.send({ key, value: { name, minute: (at - NOW) / MINUTE, value, lateByMs } })
        if (value === 'remind again') reminders.set(key, name, at + MINUTE, 'second')
      }
    },
    { onError: { retry: 2, backoff: '10ms', then: 'deadLetter' } },
  )
  return { app, orders, mails, reminders }
}

test.each(guarantees)('a timer fires once, on its owner, when it is due: %s', async (guarantee) => {
  const { app, orders, mails, reminders } = ordersApp('wall', guarantee)
  await using t = await testApp(app)
  await t.worker()
  const place = (key: string, value: Order) => t.send(orders, { key, value })
  for (const key of ['a', 'b', 'c', 'd']) await place(key, { action: 'place' })
  await t.advance('5m')
  expect(reminders.get('a', 'unpaid')).toEqual({ at: NOW + 10 * MINUTE, value: 'place' })
  expect(reminders.stats()).toMatchObject({ rows: 4, timers: { fired: 0, next: '2026-01-01T00:10:00.000Z' } })
  // What has fired is committed with the topic of who sets timers, which every release reads.
  const { watermarks } = JSON.parse(await (await t.fetch('/stats')).text())
  const ofTimers = watermarks.filter(({ name }: { name: string }) => name === 'reminders')
  expect(ofTimers.flatMap(({ sources }: { sources: { agent: string }[] }) => sources)).toContainEqual(
    expect.objectContaining({ topic: 'orders', agent: 'orders' }),
  )
  await place('b', { action: 'pay' })
  await place('c', { action: 'remind again' })
  await t.advance(5 * MINUTE - 1)
  expect(t.sent(mails)).toEqual([])
  expect(await (await t.fetch('/table/reminders/a/')).json()).toEqual([
    { name: 'unpaid', at: NOW + 10 * MINUTE, value: 'place' },
  ])
  await t.advance(1)
  // Exactly once, what an agent sends is there with its commit.
  await t.advance('1s')
  const mail = (minute: number, value: string) => ({ name: 'unpaid', minute, value, lateByMs: 0 })
  const sent = () => Object.fromEntries(t.sent(mails).map(({ key, value }, nth) => [`${key}${nth}`, value]))
  expect(Object.values(sent())).toEqual([mail(10, 'place'), mail(10, 'place')])
  await t.advance('10m')
  expect(t.sent(mails).map(({ key, value }) => [key, value])).toEqual([
    expect.anything(),
    expect.anything(),
    ['c', mail(15, 'remind again')],
    ['c', mail(16, 'second')],
  ])
  expect(reminders.stats()).toMatchObject({ rows: 0, timers: { next: undefined } })
  expect(await (await t.fetch('/stats')).json()).toMatchObject({ tables: { reminders: { kind: 'timers', rows: 0 } } })
})

test.each(guarantees)(
  'what became due while no worker ran fires oldest first, with how late it is: %s',
  async (guarantee) => {
    const { app, orders, mails, reminders } = ordersApp('wall', guarantee, 1)
    await using t = await testApp(app)
    for (const [key, minute] of [
      ['a', 7],
      ['b', 3],
      ['c', 5],
      ['d', 60],
    ] as const)
      await t.send(orders, { key, value: { action: 'place', at: NOW + minute * MINUTE } })
    await t.advance('1s')
    for (const worker of t.all) await worker.kill()
    await t.clock.advance('10m')
    await t.worker()
    await t.advance('1s')
    const late = t.sent(mails).map(({ key, value }) => [key, (value as { lateByMs: number }).lateByMs >= 3 * MINUTE])
    expect(late).toEqual([
      ['b', true],
      ['c', true],
      ['a', true],
    ])
    expect(reminders.get('d', 'unpaid')?.at).toBe(NOW + 60 * MINUTE)
    // Statistics do not count the rows of the index, here or after a restart.
    const counted = (): unknown => t.all.map(({ worker }) => worker.stats().states['reminders']?.rows)
    expect([counted(), reminders.stats().rows]).toEqual([[1], 1])
    for (const worker of t.all) await worker.stop()
    await t.worker()
    expect([counted(), reminders.stats().rows]).toEqual([[1], 1])
    await t.advance('60m')
    expect(t.sent(mails)).toHaveLength(4)
  },
)

test('a timer in the past fires at once, and fires again if it is set again for the same time', async () => {
  const { app, orders, mails } = ordersApp('wall')
  await using t = await testApp(app)
  await t.send(orders, { key: 'a', value: { action: 'place', at: NOW - MINUTE } })
  await t.settle()
  expect(t.sent(mails).map(({ value }) => value)).toEqual([
    { name: 'unpaid', minute: -1, value: 'place', lateByMs: MINUTE },
  ])
})

test('a timer whose handler fails is retried, then becomes a dead letter, and does not fire again', async () => {
  const { app, orders, mails, reminders } = ordersApp('wall', 'at-least-once', 1)
  await using t = await testApp(app)
  await t.send(orders, { key: 'bad', value: { action: 'place' } })
  await t.send(orders, { key: 'good', value: { action: 'place' } })
  await t.advance('11m')
  expect(t.sent(mails).map(({ key }) => key)).toEqual(['good'])
  expect(await t.deadLetters.list({ agent: 'remind' })).toMatchObject([{ waiting: 1 }])
  for (const worker of t.all) await worker.kill()
  await t.worker()
  await t.advance('11m')
  expect(t.sent(mails)).toHaveLength(1)
  expect(reminders.stats().rows).toBe(0)
})

test.each(guarantees)(
  'by event time, timers fire as the events of their partition move it on: %s',
  async (guarantee) => {
    const { app, orders, mails, reminders } = ordersApp('event', guarantee, 1)
    await using t = await testApp(app)
    const place = (key: string, minute: number, value: Order = { action: 'place' }) =>
      t.send(orders, { key, value, timestamp: NOW + minute * MINUTE })
    await place('a', 0)
    await place('b', 5)
    await t.advance('1h')
    expect(t.sent(mails)).toEqual([])
    await place('c', 12, { action: 'pay' })
    await t.advance('1s')
    const keys = () => t.sent(mails).map(({ key }) => key)
    expect(keys()).toEqual(['a'])
    await place('d', 15, { action: 'remind again' })
    await t.advance('1s')
    expect(keys()).toEqual(['a', 'b'])
    for (const worker of t.all) await worker.kill()
    await t.worker()
    await place('e', 40)
    await t.advance('1s')
    // The timer that the agent has set for a time that is over by then.
    expect(keys()).toEqual(['a', 'b', 'd', 'd'])
    expect(reminders.stats().rows).toBe(1)
  },
)

test('a timer that is cancelled or moved while its event waits for the row does not fire at its old time', async () => {
  const app = createApp({ id: 'held' })
  const commands = app.topic('commands', { key: 'string', value: 'string', partitions: 1 })
  const timers = app.keyTimers('timers', { key: 'string', value: 'string', clock: 'wall' })
  const fired: string[] = []
  let release = (): void => {}
  app.agent(
    'commands',
    commands,
    async (stream) => {
      for await (const { key, value } of stream.events()) {
        const at = timers.get(key, 't')?.at ?? app.clock.now() + MINUTE
        if (value === 'set') timers.set(key, 't', at, 'first')
        else if (value === 'cancel') timers.cancel(key)
        else timers.set(key, 't', at + (value === 'same time' ? 0 : 1) * MINUTE, 'second')
        if (value !== 'set') await new Promise<void>((resolve) => (release = resolve))
      }
    },
    { concurrency: 4 },
  )
  app.agent('fire', timers, async (stream) => {
    for await (const { key, value } of stream) fired.push(`${key} ${value}`)
  })
  await using t = await testApp(app)
  for (const [key, value] of [
    ['a', 'cancel'],
    ['b', 'move'],
    ['c', 'same time'],
  ] as const) {
    await t.send(commands, { key, value: 'set' })
    await t.settle()
    const held = t.send(commands, { key, value })
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    await held
    const advanced = t.advance('1m')
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    release()
    await advanced
    await t.settle()
  }
  await t.advance('1m')
  expect(fired).toEqual(['b second', 'c second'])
})

test('invalid use is refused at once', async () => {
  const app = createApp({ id: 'mistakes' })
  const topic = app.topic('in', { key: 'string', value: 'string' })
  // @ts-expect-error: no such clock
  expect(() => app.keyTimers('none', { key: 'string', value: 'string', clock: 'cpu' })).toThrow('DEFINITION_INVALID')
  const timers = app.keyTimers('timers', { key: 'string', value: 'string', clock: 'wall' })
  app.agent('set', topic, async (stream) => {
    for await (const { key } of stream.events()) timers.set(key, 'a', Number.NaN, 'x')
  })
  await expect(testApp(app)).rejects.toThrow('TIMERS_UNREAD')
  const read = createApp({ id: 'read' })
  const times = read.topic('in', { key: 'string', value: 'json', partitions: 1 })
  const set = read.keyTimers('set', { key: 'string', value: 'string', clock: 'wall' })
  read.agent('set', times, async (stream) => {
    for await (const { key } of stream.events()) set.set(key, 'a', new Date('never'), 'x')
  })
  read.agent('fire', set, async (fired) => {
    for await (const { key } of fired) expect(key).toBe('never')
  })
  expect(() => read.agent('other', set, async () => {})).toThrow('both read key timers "set"')
  await using t = await testApp(read)
  await t.send(times, { key: 'a', value: 1 })
  await t.settle()
  await t.advance('10m')
  const [letter] = await t.deadLetters.list({ agent: 'set' })
  expect(letter).toMatchObject({ waiting: 1 })
})
