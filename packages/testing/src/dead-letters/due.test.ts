import { createApp, json } from '@millrace/app'
import { expect, it, test } from 'vitest'
import { testApp } from '../index.ts'
import { letters } from './letters.fixture.ts'

const MINUTE = 60_000
const ALL = { replayed: 0, before: 0, refused: { count: 0, first: [] } }

/** Minutes of clicks, added up to hours by a handler that fails until it is changed. */
function minutesApp(processingGuarantee: 'at-least-once' | 'exactly-once' = 'at-least-once') {
  const app = createApp({ id: 'shop', processingGuarantee, idleAfter: false, commitInterval: '100ms' })
  const clicks = app.topic('clicks', { key: 'string', value: 'string', partitions: 2 })
  const totals = app.table('totals', { key: 'string', value: 'number', default: () => 0 })
  const hours = totals.tumbling('1h', { grace: '1d' })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  const minutes = counts.tumbling('1m')
  const mood = { isBroken: true }
  const seen: string[] = []
  const ids = new Set<string>()
  app.agent('count', clicks, async (stream) => {
    for await (const { key } of stream.events()) minutes.update(key, (n) => n + 1)
  })
  app.agent(
    'publish',
    minutes.closed,
    async (closed) => {
      for await (const event of closed.events()) {
        const { key, window, value } = event.value
        if (key === 'bad' && window.start === MINUTE) ids.add(event.id)
        totals.update(key, (sum) => sum + value)
        hours.update(key, (sum) => sum + value)
        if (mood.isBroken && key === 'bad') throw new Error('not now')
        seen.push(`${key} ${window.start / MINUTE} ${value}`)
      }
    },
    { onError: 'deadLetter' },
  )
  return { app, clicks, totals, hours, mood, seen, ids }
}

test.each(['at-least-once', 'exactly-once'] as const)(
  'a closed window that fails is a letter with its table, key and window, and replay closes it again: %s',
  async (guarantee) => {
    const { app, clicks, totals, hours, mood, seen, ids } = minutesApp(guarantee)
    await using t = await testApp(app)
    const send = async (minute: number): Promise<void> => {
      for (const key of ['good', 'bad', 'good', 'bad', 'bad'])
        await t.send(clicks, { key, value: 'x', timestamp: minute * MINUTE })
      await t.advance('1s')
    }
    await send(1)
    await send(2)
    expect(seen).toEqual(['good 1 2'])
    const [counted] = await t.deadLetters.list({ agent: 'publish' })
    expect(counted).toMatchObject({ letters: 1, waiting: 1 })
    const due = {
      kind: 'window',
      state: 'counts-tumbling-1m',
      partition: expect.any(Number),
      key: 'bad',
      at: 2 * MINUTE - 1,
      window: { start: MINUTE, end: 2 * MINUTE },
    }
    expect(counted?.newest[0]).toMatchObject({ source: undefined, due, failure: { message: 'not now' } })
    const shown = await t.deadLetters.show('publish', 'latest')
    const value = { key: 'bad', window: { start: MINUTE, end: 2 * MINUTE }, value: 3 }
    expect(shown).toMatchObject({ due, key: { value: 'bad' }, value: { as: 'window', value } })

    // It fails again: a new letter of the same window.
    expect(await t.deadLetters.replay('publish', 'all')).toEqual({ ...ALL, replayed: 1 })
    await t.advance('1s')
    const again = await t.deadLetters.list({ agent: 'publish', newest: 1 })
    expect(again).toMatchObject([{ letters: 2, waiting: 1, newest: [{ source: undefined, due }] }])

    mood.isBroken = false
    expect(await t.deadLetters.replay('publish', 'all')).toEqual({ ...ALL, replayed: 1, before: 1 })
    await t.advance('1s')
    expect(seen).toEqual(['good 1 2', 'bad 1 3'])
    expect(ids.size).toBe(1)
    expect(await t.deadLetters.replay('publish', 'all')).toEqual({ ...ALL, before: 2 })
    await send(3)
    await send(4)
    expect([totals.get('bad'), totals.get('good')]).toEqual([9, 6])
    expect(hours.get('bad').at(0)).toBe(9)
    expect(t.sent(clicks)).toHaveLength(20)
    // The topic of the replays holds no watermark back: event time goes on, without any wait for an idle partition.
    const stats = (await (await t.fetch('/stats')).json()) as { tables: Record<string, { windows?: object }> }
    expect(stats.tables['totals-tumbling-1h']?.windows).toMatchObject({ watermark: '1970-01-01T00:04:00.000Z' })
  },
)

test('a timer, a non-match and a held value that fail say what they were, and come back', async () => {
  const app = createApp({ id: 'shop', idleAfter: false, commitInterval: '100ms' })
  const options = { key: 'string', value: json<{ n: number }>(), partitions: 1 } as const
  const orders = app.topic('orders', options)
  const payments = app.topic('payments', options)
  const reminders = app.keyTimers('reminders', { key: 'string', value: 'string', clock: 'wall' })
  const mood = { isBroken: true }
  const seen: unknown[] = []
  const handle = (what: unknown): void => {
    if (mood.isBroken) throw new Error('not now')
    seen.push(what)
  }
  const failing = { onError: 'deadLetter' } as const
  app.agent('order', orders, async (stream) => {
    for await (const { key } of stream.events()) reminders.set(key, 'unpaid', app.clock.now() + 1000, 'Ann')
  })
  app.agent(
    'remind',
    reminders,
    async (fired) => {
      for await (const { key, name, value } of fired) handle([key, name, value])
    },
    failing,
  )
  app.agent(
    'match',
    orders,
    async (stream) => {
      const unpaid = stream.join(payments, { within: '1s', kind: 'left' }, (order, payment) => ({ order, payment }))
      for await (const { order, payment } of unpaid) if (payment === undefined) handle(['alone', order.n])
    },
    failing,
  )
  app.agent(
    'calm',
    orders,
    async (stream) => {
      for await (const [key, { n }] of stream.suppress({ every: '2s' }).items()) handle(['last', key, n])
    },
    failing,
  )
  await using t = await testApp(app)
  await t.send(orders, { key: 'a', value: { n: 1 }, timestamp: 1000 })
  await t.send(payments, { key: 'b', value: { n: 2 }, timestamp: 9000 })
  await t.send(orders, { key: 'b', value: { n: 3 }, timestamp: 9000 })
  await t.advance('5s')
  const dueOf = async (agent: string): Promise<readonly unknown[]> => {
    const [found] = await t.deadLetters.list({ agent })
    return (found?.newest ?? []).map(({ source, due }) => source ?? [due?.kind, due?.state, due?.key, due?.timer])
  }
  expect(await dueOf('remind')).toEqual([
    ['timer', 'reminders', 'b', 'unpaid'],
    ['timer', 'reminders', 'a', 'unpaid'],
  ])
  expect(await dueOf('match')).toEqual([['unmatched', 'match-join', 'a', undefined]])
  expect(await dueOf('calm')).toEqual([
    ['suppressed', 'calm-suppress', 'b', undefined],
    ['suppressed', 'calm-suppress', 'a', undefined],
  ])
  expect(await t.deadLetters.show('remind', 'latest')).toMatchObject({
    value: { as: 'timer', value: { key: expect.any(String), name: 'unpaid', value: 'Ann' } },
  })
  mood.isBroken = false
  for (const agent of ['remind', 'match', 'calm']) await t.deadLetters.replay(agent, 'all')
  await t.advance('5s')
  expect(seen).toEqual(
    expect.arrayContaining([
      ['a', 'unpaid', 'Ann'],
      ['b', 'unpaid', 'Ann'],
      ['alone', 1],
      ['last', 'a', 1],
      ['last', 'b', 3],
    ]),
  )
  expect(seen).toHaveLength(5)
})

it('refuses letters of a state that the agent does not read, and leaves other agents alone', async () => {
  const { app, clicks, mood, seen } = minutesApp()
  await using t = await testApp(app)
  for (const minute of [1, 2]) await t.send(clicks, { key: 'bad', value: 'x', timestamp: minute * MINUTE })
  await t.advance('1s')
  const edges = async (): Promise<unknown> => {
    const graph = (await (await t.fetch('/graph/')).json()) as { edges: readonly { from: string; to: string }[] }
    return graph.edges.flatMap(({ from, to }) => (to === 'agent:publish' ? from : []))
  }
  expect(await edges()).toEqual(['table:counts-tumbling-1m'])
  const [letter] = t.log.records('shop-publish-dlq')
  if (letter === undefined) throw new Error('There is no letter.')
  expect(letters(t, 'shop-publish-dlq')[0]?.told).toMatchObject({ 'millrace-due': 'window' })
  mood.isBroken = false
  const headers = letter.headers.map(([name, value]) =>
    name === 'millrace-topic' ? ([name, Buffer.from('counts-tumbling-2m')] as const) : ([name, value] as const),
  )
  await t.write('shop-publish-dlq', { key: letter.key, value: letter.value, headers, partition: letter.partition })
  const outcome = await t.deadLetters.replay('publish', 'all')
  expect(outcome).toMatchObject({
    replayed: 1,
    refused: {
      count: 1,
      first: [{ code: 'DEAD_LETTER_UNREAD', reason: expect.stringContaining('"counts-tumbling-2m"') }],
    },
  })
  const place = { partition: letter.partition, offset: letter.offset + 1 }
  await expect(t.deadLetters.replay('publish', place)).rejects.toMatchObject({ code: 'DEAD_LETTER_UNREAD' })
  // A record that names another agent.
  const [replayed] = t.log.records('shop-publish-due-counts-tumbling-1m-repartition')
  await t.advance('1s')
  expect(seen).toEqual(['bad 1 1'])
  expect(await edges()).toEqual(['table:counts-tumbling-1m', 'topic:shop-publish-due-counts-tumbling-1m-repartition'])
  await t.write('shop-publish-due-counts-tumbling-1m-repartition', {
    key: letter.key,
    value: letter.value,
    headers: (replayed?.headers ?? []).map(([name, value]) =>
      name === 'millrace-replay-for'
        ? ([name, Buffer.from('shop/other/shop-publish-due-counts-tumbling-1m-repartition')] as const)
        : ([name, value] as const),
    ),
    partition: letter.partition,
  })
  await t.advance('1s')
  expect(seen).toEqual(['bad 1 1'])
})
