import { createApp, runtimeOf, type App } from '@millrace/app'
import { createDeadLetters } from '@millrace/streams'
import { type Clock, deferred, MillraceError } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import type { ReplayOutcome } from '@millrace/core/operations'
import { createMemoryTransport } from '@millrace/transport-embedded'
import { describe, expect, it } from 'vitest'
import { testApp, type TestApp } from '../index.ts'
import { letters } from './letters.fixture.ts'
import { changedProducer } from './changed-producer.fixture.ts'

const ALL = { replayed: 0, before: 0, refused: { count: 0, first: [] } }

/** Two agents on one topic, one of which rejects some values until it is changed. */
function pickyApp(id = 'shop') {
  const app = createApp({ id })
  const numbers = app.topic('numbers', { key: 'string', value: 'number', partitions: 4 })
  const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0 })
  const seen = { picky: [] as number[], other: [] as number[] }
  const mood = { picky: true }
  app.agent(
    'picky',
    numbers,
    async (stream) => {
      for await (const [key, n] of stream.items()) {
        sums.update(key, (sum) => sum + n)
        if (mood.picky && n % 10 === 7) throw new Error(`no ${n}`)
        seen.picky.push(n)
      }
    },
    { onError: 'deadLetter' },
  )
  app.agent('other', numbers, async (stream) => {
    for await (const n of stream) seen.other.push(n)
  })
  const send = async (t: TestApp, from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n++)
      await t.send(numbers, {
        key: `k${n % 5}`,
        value: n,
        headers: { trace: `t${n}` },
        timestamp: 1_700_000_000_000 + n,
      })
    await t.settle()
  }
  return { app, numbers, sums, seen, mood, send }
}

/** Replays all letters of `picky` over this connection. */
function replayWith(app: App, { transport, clock }: { transport: Transport; clock: Clock }): Promise<ReplayOutcome> {
  const { surroundings, definitions, client } = runtimeOf(app)
  return createDeadLetters({
    appId: surroundings.settings.id,
    agents: [...definitions.agents.values()],
    topicsReadBy: (agent) => client.topicsReadBy(agent),
    transport,
    admin: transport.admin(),
    clock,
  }).replay('picky', 'all')
}

describe('replay', () => {
  it('leaves an event its id, however often it is tried, retried and replayed', async () => {
    const app = createApp({ id: 'charges' })
    const orders = app.topic('orders', { value: 'string', partitions: 1 })
    const ids: string[] = []
    let fails = 5
    app.agent(
      'charge',
      orders,
      async (stream) => {
        for await (const event of stream.events()) {
          if (event.value !== 'bad') continue
          ids.push(event.id)
          if (fails-- > 0) throw new Error('declined')
        }
      },
      { onError: { retry: 1, backoff: '1ms', then: 'deadLetter' } },
    )
    await using t = await testApp(app)
    for (const value of ['good', 'bad', 'good']) await t.send(orders, value)
    await t.clock.advance('1s')
    // Twice to the dead letters, and back.
    for (let round = 0; round < 2; round++) {
      await t.deadLetters.replay('charge', 'all')
      await t.clock.advance('1s')
    }
    expect(ids).toEqual(Array.from({ length: 6 }, () => 'orders/0@1'))
    expect(t.sent(orders)).toHaveLength(5)
  })

  it('sends letters back unchanged; their agent handles them once, other agents ignore them', async () => {
    const { app, numbers, sums, seen, mood, send } = pickyApp()
    await using t = await testApp(app)
    await send(t, 0, 100)
    expect(seen.other).toHaveLength(100)
    expect(seen.picky).toHaveLength(90)
    const before = t.sent(numbers)

    mood.picky = false
    expect(await t.deadLetters.replay('picky', 'all')).toEqual({ ...ALL, replayed: 10 })
    await t.settle()
    expect(seen.other).toHaveLength(100)
    expect(seen.picky.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n))
    for (let k = 0; k < 5; k++)
      expect(sums.get(`k${k}`)).toBe(seen.picky.reduce((sum, n) => (n % 5 === k ? sum + n : sum), 0))
    const again = t.sent(numbers).filter(({ headers }) => headers['millrace-replay-for'] !== undefined)
    expect(again).toHaveLength(10)
    for (const { offset: _offset, headers, ...record } of again) {
      const { offset: __, ...first } = before.find(({ value }) => value === record.value) ?? { offset: 0 }
      expect({ ...record, headers: { trace: headers['trace'] } }).toEqual(first)
      expect(Object.keys(headers).toSorted()).toEqual(['millrace-replay-for', 'millrace-replay-of', 'trace'])
    }

    expect(await t.deadLetters.replay('picky', 'all')).toEqual({ ...ALL, before: 10 })
    await t.settle()
    expect(t.sent(numbers)).toHaveLength(110)
    expect(await t.deadLetters.list({ agent: 'picky', newest: 1 })).toMatchObject([
      { letters: 10, waiting: 0, newest: [{ replayed: true }] },
    ])
    const stats: unknown = await (await t.fetch('/stats')).json()
    expect(stats).toMatchObject({ agents: { picky: { deadLettered: 10 }, other: { deadLettered: 0 } } })
  })

  it('replays one letter, then the rest; a letter that fails again becomes a new one', async () => {
    const { app, seen, mood, send } = pickyApp()
    await using t = await testApp(app)
    await send(t, 0, 50)
    const [one] = letters(t, 'shop-picky-dlq').filter(({ value }) => value === '27')
    if (one === undefined) throw new Error('There is no letter of 27.')
    const { partition, offset } = one
    mood.picky = false
    expect(await t.deadLetters.replay('picky', { partition, offset })).toEqual({ ...ALL, replayed: 1 })
    await t.settle()
    expect(seen.picky.filter((n) => n % 10 === 7)).toEqual([27])
    expect(await t.deadLetters.replay('picky', { partition, offset })).toEqual({ ...ALL, before: 1 })
    mood.picky = true
    expect(await t.deadLetters.replay('picky', 'all')).toEqual({ ...ALL, replayed: 4, before: 1 })
    await t.settle()
    expect(await t.deadLetters.list({ agent: 'picky', newest: 0 })).toMatchObject([{ letters: 9, waiting: 4 }])
    const last = letters(t, 'shop-picky-dlq').at(-1)
    expect(last?.own).toEqual({ trace: `t${last?.value}` })
    mood.picky = false
    expect(await t.deadLetters.replay('picky', 'all')).toEqual({ ...ALL, replayed: 4, before: 5 })
    await t.settle()
    expect(seen.picky.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n))
    expect(seen.other).toHaveLength(50)
  })

  it('sends nothing twice when two people replay at once', async () => {
    const { app, numbers, mood, send } = pickyApp()
    await using t = await testApp(app)
    await send(t, 0, 100)
    mood.picky = false
    const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => t.deadLetters.replay('picky', 'all')))
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'PRODUCER_FENCED' })
    await t.deadLetters.replay('picky', 'all')
    await t.settle()
    expect(t.sent(numbers)).toHaveLength(110)
  })

  it('works from a job of the app', async () => {
    const { app, mood, seen, send } = pickyApp()
    const outcomes: unknown[] = []
    app.timer('1h', async function tryAgain() {
      for (const { agent, waiting } of await app.deadLetters.list())
        if (waiting > 0) outcomes.push([agent, await app.deadLetters.replay(agent, 'all')])
    })
    await using t = await testApp(app)
    await send(t, 0, 50)
    expect(await app.deadLetters.show('picky', 'latest')).toMatchObject({ agent: 'picky', failure: { class: 'Error' } })
    mood.picky = false
    await t.clock.advance('1h')
    expect(outcomes).toEqual([['picky', { ...ALL, replayed: 5 }]])
    expect(seen.picky.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n))
  })

  it('is reflected in /metrics, which counts waiting letters every five minutes', async () => {
    const { app, mood, send } = pickyApp()
    await using t = await testApp(app)
    const waiting = async (): Promise<string | undefined> =>
      /^millrace_agent_dead_letters_waiting\{agent="picky"\} (?<count>\d+)$/m.exec(
        await (await t.fetch('/metrics')).text(),
      )?.groups?.['count']
    await send(t, 0, 50)
    await expect.poll(waiting).toBe('5')
    mood.picky = false
    await app.deadLetters.replay('picky', 'all')
    expect(await waiting()).toBe('5')
    await t.clock.advance('5m')
    await expect.poll(waiting).toBe('0')
  })

  it('needs no worker', async () => {
    const app = createApp({ id: 'alone', broker: 'memory:', web: { enabled: false } })
    const numbers = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const failed = deferred<void>()
    app.agent(
      'refuse',
      numbers,
      async (stream) => {
        for await (const n of stream) throw new Error(`no ${n}`)
      },
      { onError: 'deadLetter' },
    )
    app.agent('end', app.topic('alone-refuse-dlq', { create: false }), async (stream) => {
      for await (const _ of stream) failed.resolve()
    })
    await app.start()
    await numbers.send({ key: 'a', value: 1 })
    await failed.promise
    await app.stop()
    expect(await app.deadLetters.list({ agent: 'refuse' })).toMatchObject([{ letters: 1, waiting: 1 }])
    expect(await app.deadLetters.replay('refuse', { partition: 0, offset: 0 })).toEqual({ ...ALL, replayed: 1 })
    await expect(app.deadLetters.replay('refuse', { partition: 0, offset: 9 })).rejects.toMatchObject({
      code: 'DEAD_LETTER_MISSING',
    })
    await app.stop()
  })

  it('knows what a concurrent replay has sent', async () => {
    const { app, numbers, mood, send } = pickyApp()
    await using t = await testApp(app)
    await send(t, 0, 100)
    mood.picky = false
    const gate = deferred<void>()
    const transport = changedProducer(createMemoryTransport(t.log, { clock: t.clock, log: t.logged }), (inner) => ({
      init: async () => {
        await gate.promise
        await inner.init()
      },
    }))
    await transport.connect({ timeoutMs: 1000 })
    const late = replayWith(app, { transport, clock: t.clock })
    // The replay has had time for everything before it takes over the id.
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(await t.deadLetters.replay('picky', 'all')).toMatchObject({ replayed: 10 })
    gate.resolve()
    expect(await late).toEqual({ ...ALL, before: 10 })
    await t.settle()
    expect(t.sent(numbers)).toHaveLength(110)
    await transport.close()
  })

  it('ignores agents of the same name in another app', async () => {
    const one = pickyApp('one')
    const two = pickyApp('two')
    const first = await testApp(one.app)
    await one.send(first, 0, 10)
    one.mood.picky = false
    await first.deadLetters.replay('picky', 'all')
    await first.settle()
    const records = first.log.records('numbers')
    await first.close()
    await using second = await testApp(two.app)
    two.mood.picky = false
    for (const { key, value, headers, partition } of records)
      await second.write('numbers', { key, value, headers, partition })
    await second.settle()
    expect(two.seen.picky).toHaveLength(10)
    expect(two.seen.other).toHaveLength(10)
  })

  it('resumes at the step of the agent that failed', async () => {
    const app = createApp({ id: 'shop' })
    const words = app.topic('words', { value: 'string', partitions: 2 })
    const seen: string[] = []
    let picky = true
    app.agent(
      'group',
      words,
      async (stream) => {
        for await (const [first, word] of stream.groupBy((word) => word.slice(0, 1)).items()) {
          if (picky && first === 'b') throw new Error('no b')
          seen.push(word)
        }
      },
      { onError: 'deadLetter' },
    )
    await using t = await testApp(app)
    for (const word of ['ant', 'bee', 'cat']) await t.send(words, word)
    await t.settle()
    expect(await t.deadLetters.show('group', 'latest')).toMatchObject({
      source: { topic: 'shop-group-group-by-repartition' },
      key: { as: 'text', value: 'b' },
      value: { as: 'text', value: 'bee' },
    })
    picky = false
    expect(await t.deadLetters.replay('group', 'all')).toMatchObject({ replayed: 1 })
    await t.settle()
    expect(seen.toSorted()).toEqual(['ant', 'bee', 'cat'])
    expect(t.log.records('words')).toHaveLength(3)
  })

  it('names a missing agent or letter in its error', async () => {
    const { app, send } = pickyApp()
    await using t = await testApp(app)
    expect(await t.deadLetters.replay('picky', 'all')).toEqual(ALL)
    await send(t, 0, 8)
    await expect(t.deadLetters.replay('pick', 'all')).rejects.toThrow(/AGENT_MISSING.*"pick".*"picky"/s)
    await expect(t.deadLetters.replay('picky', { partition: 0, offset: 99 })).rejects.toThrow(
      /DEAD_LETTER_MISSING.*"picky".*99/s,
    )
    await expect(t.deadLetters.replay('picky', { partition: 99, offset: 0 })).rejects.toThrow(/DEAD_LETTER_MISSING/)
    await expect(t.deadLetters.list({ agent: 'x', newest: 1 })).rejects.toThrow(/AGENT_MISSING/)
    expect(await t.deadLetters.show('picky', { partition: 0, offset: 99 })).toBeUndefined()
    expect(await t.deadLetters.show('other', 'latest')).toBeUndefined()
  })

  it('sends only to topics that the agent reads, whatever a forged letter says', async () => {
    const { app, numbers, mood, seen, send } = pickyApp()
    const secret = app.topic('payments', { value: 'string', partitions: 4 })
    app.agent('pays', secret, async (stream) => {
      for await (const _ of stream);
    })
    const through = app.topic('between', { key: 'string', value: 'number', partitions: 4 })
    app.agent(
      'picky-too',
      numbers,
      async (stream) => {
        for await (const n of stream.through(through)) if (mood.picky && n === 7) throw new Error('no 7')
      },
      { onError: 'deadLetter' },
    )
    await using t = await testApp(app)
    await send(t, 0, 10)
    mood.picky = false
    const [letter] = t.log.records('shop-picky-dlq')
    if (letter === undefined) throw new Error('There is no letter.')
    // The group has committed in "between" for an agent whose name begins like this one's.
    const topics = ['payments', 'between', 'shop-sums-changelog', 'shop-picky-dlq', 'shop-__replays', 'elsewhere']
    for (const topic of topics) {
      const headers = letter.headers.map(([name, value]) =>
        name === 'millrace-topic' ? ([name, Buffer.from(topic)] as const) : ([name, value] as const),
      )
      await t.write('shop-picky-dlq', { value: '1', headers, partition: letter.partition })
    }
    const before = topics.map((topic) => t.log.records(topic).length)
    const outcome = await t.deadLetters.replay('picky', 'all')
    expect(outcome).toMatchObject({ replayed: 1, refused: { count: topics.length } })
    expect(outcome.refused.first.filter(({ code }) => code === 'DEAD_LETTER_FOREIGN')).toHaveLength(topics.length - 1)
    await t.settle()
    expect(topics.map((topic) => t.log.records(topic).length).slice(0, 4)).toEqual(before.slice(0, 4))
    const offset = letter.offset + 1
    await expect(t.deadLetters.replay('picky', { partition: letter.partition, offset })).rejects.toThrow(
      /DEAD_LETTER_FOREIGN.*"payments".*"picky" does not read/s,
    )
    const answer = await t.fetch('/dead-letters/picky/replay/', {
      method: 'POST',
      headers: { 'millrace-action': 'test' },
      body: JSON.stringify({ partition: letter.partition, offset }),
    })
    expect([answer.status, await answer.text()]).toEqual([409, expect.stringContaining('payments')])
    // Records that really came from there go back there.
    expect(await t.deadLetters.replay('picky-too', 'all')).toMatchObject({ replayed: 1, refused: { count: 0 } })
    expect(seen.picky).toContain(7)
  })

  it.each(['refuses a record', 'cannot be reached'] as const)(
    'leaves no transaction open when the broker %s, for that would hold up readers of committed records',
    async (how) => {
      const { app, mood, send } = pickyApp()
      await using t = await testApp(app)
      await send(t, 0, 10)
      mood.picky = false
      const calls: string[] = []
      const refusal = new MillraceError('RECORD_TOO_LARGE', 'As the broker would say.')
      const transport = changedProducer(createMemoryTransport(t.log, { clock: t.clock, log: t.logged }), (inner) => ({
        begin: async () => {
          await inner.begin()
          calls.push('begin')
        },
        send: async (records) => {
          if (how === 'cannot be reached') throw new MillraceError('TIMEOUT', 'As the driver would say.')
          return records.map(() => ({ ok: false as const, error: refusal }))
        },
        abort: async () => {
          await inner.abort()
          calls.push('abort')
        },
        close: async () => {
          calls.push('close')
          await inner.close()
        },
      }))
      await transport.connect({ timeoutMs: 1000 })
      await expect(replayWith(app, { transport, clock: t.clock })).rejects.toMatchObject({
        code: how === 'cannot be reached' ? 'TIMEOUT' : 'RECORD_REFUSED',
      })
      expect(calls).toEqual(['begin', 'abort', 'close'])
      expect(await t.deadLetters.list({ agent: 'picky' })).toMatchObject([{ letters: 1, waiting: 1 }])
      await transport.close()
    },
  )

  it('reports the letters that cannot be replayed, and keeps them', async () => {
    const app = createApp({ id: 'shop' })
    const parcels = app.channel<number>('parcels')
    app.agent(
      'opens',
      parcels,
      async (stream) => {
        for await (const n of stream) throw new Error(`no ${n}`)
      },
      { onError: 'deadLetter' },
    )
    await using t = await testApp(app)
    await parcels.send({ value: 1 })
    await t.settle()
    await t.write('shop-opens-dlq', { value: 'somebody else wrote this' })
    const outcome = await t.deadLetters.replay('opens', 'all')
    expect(outcome).toMatchObject({ replayed: 0, before: 0, refused: { count: 2 } })
    expect(outcome.refused.first.map(({ reason }) => reason).toSorted()).toEqual([
      'It does not say where it came from.',
      'There is no topic "parcels" any more, or it was a channel of a worker.',
    ])
    expect(await t.deadLetters.list({ newest: 0 })).toMatchObject([{ letters: 2, waiting: 2 }])
  })
})

describe('show', () => {
  it('gives the whole letter, decoded where possible', async () => {
    const { app, send } = pickyApp()
    await using t = await testApp(app)
    await send(t, 0, 10)
    await t.write('numbers', { key: new Uint8Array([0xff, 0xfe]), value: new Uint8Array([0xff]), partition: 2 })
    await t.settle()
    const letter = await t.deadLetters.show('picky', 'latest')
    const found = await t.deadLetters.list({ agent: 'picky', newest: 9 })
    expect(found[0]?.newest).toHaveLength(2)
    const shown = await Promise.all((found[0]?.newest ?? []).map((one) => t.deadLetters.show('picky', one)))
    expect(shown).toContainEqual(letter)
    expect(shown).toContainEqual(
      expect.objectContaining({
        key: { as: 'string', value: 'k2' },
        value: { as: 'number', value: 7 },
        headers: [['trace', Buffer.from('t7')]],
        source: {
          topic: 'numbers',
          partition: expect.any(Number),
          offset: expect.any(Number),
          timestamp: 1_700_000_000_007,
        },
        failure: { code: '', class: 'Error', message: 'no 7', attempts: 1 },
        failedAt: t.clock.now(),
        replayed: false,
        stack: expect.stringContaining('replay.test.ts'),
      }),
    )
    expect(shown).toContainEqual(
      expect.objectContaining({
        key: { as: 'base64', value: '//4=' },
        value: { as: 'base64', value: '/w==' },
        failure: expect.objectContaining({ code: 'DECODE_FAILED', attempts: 1 }),
      }),
    )
  })
})

it('lists at most the given number of letters, the newest of each partition, without long texts', async () => {
  const { app, send } = pickyApp()
  await using t = await testApp(app)
  await send(t, 0, 200)
  const whole = await t.deadLetters.list({ agent: 'picky' })
  expect(whole).toMatchObject([{ letters: 20, waiting: 20, complete: true }])
  const [some] = await t.deadLetters.list({ agent: 'picky', most: 8, newest: 1 })
  expect(some?.complete).toBe(false)
  expect(some?.letters).toBeGreaterThan(0)
  expect(some?.letters).toBeLessThanOrEqual(8)
  expect(some?.waiting).toBe(some?.letters)
  expect(some?.newest).toEqual(whole[0]?.newest.slice(0, 1))

  const [letter] = letters(t, 'shop-picky-dlq')
  const told = { ...letter?.told, 'millrace-error-message': 'm'.repeat(200_000), 'millrace-failed-at': String(2 ** 45) }
  const headers = Object.entries(told).map(([name, text]) => [name, Buffer.from(text)] as const)
  await t.write('shop-picky-dlq', { value: new Uint8Array(), headers })
  const [listed] = await t.deadLetters.list({ agent: 'picky', newest: 1 })
  expect(listed?.newest.map(({ failure }) => failure.message)).toEqual(['m'.repeat(1_000)])
})

it('an app without letters lists every agent with none', async () => {
  const { app }: { app: App } = pickyApp()
  await using t = await testApp(app)
  expect(await t.deadLetters.list({ newest: 5 })).toEqual([
    { agent: 'picky', topic: 'shop-picky-dlq', letters: 0, waiting: 0, complete: true, newest: [] },
    { agent: 'other', topic: 'shop-other-dlq', letters: 0, waiting: 0, complete: true, newest: [] },
  ])
})
