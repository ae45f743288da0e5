import { createApp, json, type App } from '@millrace/app'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { testApp } from '../lib/test-app.ts'

/** A user's mistake gives an error with a code that names the fault. */
describe('bad input', () => {
  it('an unknown setting names the nearest one', () => {
    // @ts-expect-error the compiler says so too
    expect(() => createApp({ id: 'shop', comitInterval: '1s' })).toThrow(
      /SETTING_UNKNOWN.*comitInterval.*commitInterval/s,
    )
  })

  it('unknown options are refused in every declaration, for users of JavaScript', () => {
    const app = createApp({ id: 'shop' })
    const reads = async (stream: AsyncIterable<unknown>) => {
      for await (const _ of stream);
    }
    async function daily() {}
    const declared = (method: 'agent' | 'topic' | 'timer' | 'crontab' | 'task' | 'command', ...args: unknown[]) => {
      return () => Reflect.apply(app[method], app, args)
    }
    expect(declared('agent', 'a', { value: 'json' }, reads, { retries: 3 })).toThrow(/Agent "a" has no option retries/)
    expect(declared('topic', 'posts', { partition: 3 })).toThrow(/"posts" has no option partition. .*partitions\?/)
    expect(declared('crontab', '@daily', { tz: 'UTC' }, daily)).toThrow(/"daily" has no option tz. .*timezone\?/)
    expect(declared('timer', '1s', { onleader: true }, daily)).toThrow(/"daily" has no option onleader. .*onLeader\?/)
    expect(declared('task', { overlap: 'skip' }, daily)).toThrow(/"daily" has no option overlap/)
    expect(declared('command', 'go', { option: {} }, daily)).toThrow(/"go" has no option option. .*options\?/)
    expect(declared('command', 'go', { options: { n: { typ: 'number' } } }, daily)).toThrow(
      /N of command "go" has no option typ. Did you mean type/,
    )
    expect(() => Reflect.apply(createApp, undefined, [{ id: 'shop' }, { logger: console }])).toThrow(
      /environment of createApp has no option logger/,
    )
  })

  it('a broker URL with a password is refused without showing it', () => {
    expect(() => createApp({ id: 'shop', broker: 'kafka://me:s3cret@a:9092' })).toThrow(/^(?!.*s3cret).*kafka\.sasl/s)
  })

  it.each([
    ['kafka:/localhost', /slashes/],
    ['kafak://localhost:9092', /kafka/],
    ['localhost:9092', /no scheme/],
    ['kafka://', /names no broker/],
  ])('a bad broker URL says what is wrong with it: %s', (broker, why) => {
    expect(() => createApp({ id: 'shop', broker })).toThrow(/BROKER_URL_INVALID/)
    expect(() => createApp({ id: 'shop', broker })).toThrow(why)
  })

  it('two agents, two tables and two topics of one name are refused', () => {
    const app = createApp({ id: 'shop' })
    app.agent('pay', { value: 'json' }, async (stream) => {
      for await (const _ of stream);
    })
    app.table('totals', { key: 'string', value: 'number' })
    app.topic('orders')
    expect(() =>
      app.agent('pay', { value: 'json' }, async (stream) => {
        for await (const _ of stream);
      }),
    ).toThrow(/NAME_TAKEN: The name of agent "pay" is taken by another agent/)
    expect(() => app.table('totals', { key: 'string', value: 'string' })).toThrow(/NAME_TAKEN.*table "totals"/s)
    expect(() => app.globalTable('totals', { key: 'string', value: 'string' })).toThrow(
      /NAME_TAKEN: The name of global table "totals" is taken by another table/,
    )
    expect(() => app.topic('orders')).toThrow(/NAME_TAKEN.*topic "orders"/s)
  })

  it.each(['constructor', '__proto__', 'hasOwnProperty'])('%s is a name like any other', async (name) => {
    const app = createApp({ id: 'shop', topicPartitions: 1 })
    const orders = app.topic(name, { key: 'string', value: 'string' })
    const last = app.table(name, { key: 'string', value: 'string' })
    const empty = app.table(`${name}s`, { key: 'string', value: 'string' })
    app.agent(name, orders, async (stream) => {
      for await (const order of stream) last.set('last', order)
    })
    app.crontab('@daily', { name }, async () => {})
    await using t = await testApp(app)
    await t.send(orders, { key: 'last', value: 'tea' })
    await t.settle()
    const [one] = t.all
    if (one === undefined) throw new Error('No worker runs.')
    t.within(one, () => {
      expect(last.get('last')).toBe('tea')
      expect(empty.get('last')).toBeUndefined()
    })
    const { agents, states } = one.worker.stats()
    expect(Object.hasOwn(agents, name) && agents[name]).toMatchObject({ received: 1, processed: 1, lag: 0 })
    expect(Object.hasOwn(states, name) && states[name]).toMatchObject({ partitions: [0] })
  })

  it('a definition after the start is refused', async () => {
    const { app } = counting()
    await using _t = await testApp(app)
    expect(() => app.topic('late')).toThrow(/DEFINITION_LATE.*topic "late"/is)
  })

  it('a send of a value that does not match its schema is refused with the name of the topic', async () => {
    const app = createApp({ id: 'shop' })
    const orders = app.topic('orders', { value: json(z.object({ total: z.number() })) })
    app.agent('read', orders, async (stream) => {
      for await (const _ of stream);
    })
    await using t = await testApp(app)
    // @ts-expect-error the compiler says so too
    await expect(t.send(orders, { value: { total: 'a lot' } })).rejects.toThrow(/SCHEMA_MISMATCH.*"orders".*total/s)
    expect(t.sent(orders)).toEqual([])
  })

  it('sending a record that is too large for the broker throws in the handler', async () => {
    const app = createApp({ id: 'shop', maxRecordBytes: '10kb' })
    const input = app.topic('input', { value: 'number' })
    const output = app.topic('output', { value: 'string' })
    const refused: unknown[] = []
    app.agent('blow-up', input, async (sizes) => {
      for await (const size of sizes)
        await output.send({ value: 'x'.repeat(size) }).catch((error: unknown) => refused.push(error))
    })
    await using t = await testApp(app)
    await t.send(input, 100)
    await t.send(input, 20_000)
    await t.settle()
    expect(t.sent(output)).toHaveLength(1)
    expect(String(refused[0])).toMatch(/RECORD_TOO_LARGE.*output/s)
  })

  it('an undecodable record is kept as a dead letter, byte for byte, and the other records are handled', async () => {
    const { app, input, seen } = counting()
    await using t = await testApp(app, { partitions: 1 })
    await t.send(input, { key: 'a', value: { n: 1 } })
    await t.write('input', { key: 'a', value: 'no json' })
    await t.send(input, { key: 'a', value: { n: 2 } })
    await t.settle()
    expect(seen).toEqual([1, 2])
    expect(t.log.records('shop-count-dlq').map(({ value }) => String(value))).toEqual(['no json'])
    expect(await t.deadLetters.show('count', 'latest')).toMatchObject({
      source: { topic: 'input', partition: 0, offset: 1 },
      failure: { code: 'DECODE_FAILED', attempts: 1 },
    })
  })

  it('a record nested 20,000 levels deep becomes a dead letter at once; pages and commands show it as text', async () => {
    const shop = createApp({ id: 'shop' })
    const input = shop.topic('input', { key: 'string', value: 'json' })
    const output = shop.topic('output', { value: 'json' })
    const rows = shop.table('rows', { key: 'string', value: 'json' })
    shop.agent('copy', input, async (stream) => {
      for await (const { key = '', value } of stream.events()) {
        rows.set(key, value)
        await output.send({ value })
      }
    })
    await using t = await testApp(shop, { partitions: 1 })
    const text = `${'[{"a":'.repeat(10_000)}1${'}]'.repeat(10_000)}`
    await t.write('input', { key: 'deep', value: text })
    await t.send(input, { key: 'flat', value: [1] })
    await t.settle()
    expect(t.sent(output)).toHaveLength(1)
    expect(await t.deadLetters.show('copy', 'latest')).toMatchObject({
      failure: { code: 'DECODE_FAILED', attempts: 1, message: expect.stringContaining('nested more than 500 deep') },
      value: { as: 'text', value: text },
    })
    for (const path of ['/topics/input/records/', '/dead-letters/', '/dead-letters/copy/0/0/', '/table/rows/flat/']) {
      const answer = await t.fetch(path)
      expect([path, answer.status, (await answer.text()).length > 0]).toEqual([path, 200, true])
    }
    const sent = await t.fetch('/topics/input/send/', {
      method: 'POST',
      headers: { 'millrace-action': 'x' },
      body: `{"value":${text}}`,
    })
    expect([sent.status, await sent.text()]).toEqual([400, expect.stringContaining('nested more than 500 deep')])
    const key = encodeURIComponent(`${'['.repeat(1_000)}${']'.repeat(1_000)}`)
    expect((await t.fetch(`/table/rows/?key=${key}`)).status).toBe(404)
  })

  it.each(['output', 'nowhere', 'shop-replies', 'shop-count-dlq'])(
    'a record that wants its reply in %s is handled like others: nothing is written there, and nobody ends for it',
    async (topic) => {
      const { app, seen } = counting()
      app.topic('output', { value: 'string', partitions: 1 })
      await using t = await testApp(app, { partitions: 1 })
      const headers = { 'reply-topic': topic, 'reply-partition': '0', 'correlation-id': 'x' }
      const asking = Object.entries(headers).map(([name, text]) => [`millrace-${name}`, Buffer.from(text)] as const)
      for (const n of [1, 2]) {
        await t.write('input', { key: 'a', value: JSON.stringify({ n }), headers: asking })
        await t.settle()
      }
      expect(seen).toEqual([1, 2])
      expect(t.log.records(topic)).toEqual([])
    },
  )

  it("an undecodable record stops the worker if onError is 'stop'; the error has topic, partition and offset", async () => {
    const { app, input, seen } = counting('stop')
    await using t = await testApp(app, { partitions: 1 })
    await t.send(input, { key: 'a', value: { n: 1 } })
    await t.settle()
    await t.write('input', { key: 'a', value: 'no json' })
    await expect(t.settle()).rejects.toThrow(/DECODE_FAILED|AGENT_FAILED/)
    await expect(t.settle()).rejects.toThrow(/input.*0.*1/s)
    expect(seen).toEqual([1])
    expect(t.log.committed('shop').find(({ topic }) => topic === 'input')?.offset).toBe(1)
  })

  it('a failing event is retried, then kept as a dead letter, and the other events are handled', async () => {
    const { app, input, tries } = picking()
    await using t = await testApp(app)
    for (const n of [1, 2, 3]) await t.send(input, n)
    await t.clock.advance('1m')
    expect(tries).toEqual([1, 2, 2, 2, 2, 3])
    expect(await t.deadLetters.list({ newest: 5 })).toMatchObject([
      { agent: 'pick', letters: 1, newest: [{ failure: { message: 'two is too much', attempts: 4 } }] },
    ])
    expect(t.log.committed('shop').find(({ topic }) => topic === 'input')?.offset).toBe(3)
  })

  it('a failing handler stops the worker if onError says so, with topic, partition, offset and the error', async () => {
    const { app, input, tries } = picking({ retry: 3, then: 'stop' })
    await using t = await testApp(app)
    for (const n of [1, 2, 3]) await t.send(input, n)
    await expect(t.clock.advance('1m')).rejects.toThrow(/AGENT_FAILED.*"pick".*input.*two is too much/s)
    expect(tries).toEqual([1, 2, 2, 2, 2])
    // Nothing is skipped: the next worker begins with the failed event.
    expect(t.log.committed('shop').find(({ topic }) => topic === 'input')?.offset).toBe(1)
    expect(t.log.topics().map(({ name }) => name)).not.toContain('shop-pick-dlq')
  })

  describe('a forgotten groupBy', () => {
    const wrongly = (onError?: 'deadLetter' | (() => 'skip')) => {
      const app = createApp({ id: 'shop' })
      const orders = app.topic('orders', { key: 'string', value: 'string', partitions: 8 })
      const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
      let tries = 0
      app.agent(
        'count',
        orders,
        async (orders) => {
          for await (const customer of orders) {
            tries++
            counts.update(customer, (n) => n + 1)
          }
        },
        { onError },
      )
      return { app, tries: () => tries }
    }
    // Writes without the worker, which may have stopped at the first record.
    const write = async (t: Awaited<ReturnType<typeof testApp>>) => {
      for (let n = 0; n < 40; n++) await t.write('orders', { key: `order-${n}`, value: `customer-${n % 8}` })
    }

    it('stops the worker at the first event that would be counted wrongly; the error names the table, the key and groupBy', async () => {
      const { app } = wrongly()
      await using t = await testApp(app)
      await write(t)
      const failed: unknown = await t.settle().then(
        () => undefined,
        (error: unknown) => error,
      )
      expect(failed).toMatchObject({
        code: 'AGENT_FAILED',
        detail: expect.stringMatching(
          /"count" failed on orders\/\d at offset \d+, attempt 1: .*"customer-\d".*"counts"/s,
        ),
        cause: expect.objectContaining({ code: 'KEY_NOT_OWNED', fix: expect.stringContaining('groupBy') }),
      })
      expect(t.log.records('shop-count-dlq')).toEqual([])
    })

    it.each([['deadLetter', 'deadLettered'] as const, [() => 'skip' as const, 'skipped'] as const])(
      'unless onError says otherwise: %s',
      async (onError, counted) => {
        const { app, tries } = wrongly(onError)
        await using t = await testApp(app)
        await write(t)
        await t.settle()
        const stats: unknown = await (await t.fetch('/stats')).json()
        expect(tries()).toBe(40)
        expect(stats).toMatchObject({ agents: { count: { received: 40, retried: 0, active: 0 } } })
        expect(stats).not.toMatchObject({ agents: { count: { [counted]: 0 } } })
      },
    )
  })

  it('a changelog whose partition count differs from its source is refused, naming both', async () => {
    const { app } = counting()
    const test = testApp(app, {
      topics: [
        { name: 'shop-totals-changelog', partitions: 3 },
        { name: 'input', partitions: 4 },
      ],
    })
    await expect(test).rejects.toThrow(/NOT_COPARTITIONED.*totals/s)
    await expect(
      testApp(app, {
        topics: [
          { name: 'shop-totals-changelog', partitions: 3 },
          { name: 'input', partitions: 4 },
        ],
      }),
    ).rejects.toThrow(/3.*4|4.*3/s)
  })
})

function picking(onError?: { retry: number; then: 'stop' }) {
  const app = createApp({ id: 'shop' })
  const input = app.topic('input', { value: 'number', partitions: 1 })
  const tries: number[] = []
  app.agent(
    'pick',
    input,
    async (numbers) => {
      for await (const n of numbers) {
        tries.push(n)
        if (n === 2) throw new Error('two is too much')
      }
    },
    { onError },
  )
  return { app, input, tries }
}

function counting(onError?: 'stop'): { app: App; input: ReturnType<typeof inputOf>; seen: number[] } {
  const app = createApp({ id: 'shop' })
  const input = inputOf(app)
  const totals = app.table('totals', { key: 'string', value: 'number', default: () => 0 })
  const seen: number[] = []
  app.agent(
    'count',
    input,
    async (stream) => {
      for await (const [key, { n }] of stream.items()) {
        seen.push(n)
        totals.update(key, (total) => total + n)
      }
    },
    { onError },
  )
  return { app, input, seen }
}

function inputOf(app: App) {
  return app.topic('input', { key: 'string', value: json<{ n: number }>() })
}
