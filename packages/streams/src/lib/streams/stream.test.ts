import { json, manualClock } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { createAgent } from '../agents/create-agent.ts'
import { createChannel } from '../channels/channel.ts'
import type { Event } from '../events/event.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'
import type { Stream } from './stream.ts'

/** Runs `shape` over the numbers from 0 to 9 of one partition, and returns the results. */
async function through<V>(shape: (numbers: Stream<string | null, number>) => Stream<string | null, V>): Promise<V[]> {
  const { deps, createTopic, engine, run, until } = streamsForTests()
  const topic = createTopic('numbers', { value: 'number', partitions: 1 })
  const seen: V[] = []
  const agent = createAgent(deps, 'read', topic, async (numbers) => {
    for await (const value of shape(numbers)) seen.push(value)
  })
  const part = await run(agent)
  for (let n = 0; n < 10; n++) await topic.send({ key: `k${n}`, value: n })
  await until('all processed', () => (part.counts().read?.processed ?? 0) + (part.counts().read?.active ?? 0) === 10)
  await engine.stop()
  expect(engine.failure).toBeUndefined()
  return seen
}

const DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

describe('Stream', () => {
  it('hands out values in order and acks the one before', async () => {
    expect(await through((numbers) => numbers)).toEqual(DIGITS)
  })

  it('filters and maps, at once and with promises', async () => {
    expect(await through((numbers) => numbers.filter((n) => n % 2 === 0).map((n) => n * 10))).toEqual([
      0, 20, 40, 60, 80,
    ])
    expect(await through((numbers) => numbers.filter(async (n) => n % 2 === 0).map(async (n) => n * 10))).toEqual([
      0, 20, 40, 60, 80,
    ])
    expect(await through((numbers) => numbers.map(async (n) => n).filter((n) => n > 7))).toEqual([8, 9])
  })

  it('taps, enumerates, and pairs with keys', async () => {
    const tapped: number[] = []
    expect(await through((numbers) => numbers.tap((n) => void tapped.push(n)).enumerate(100))).toEqual(
      DIGITS.map((n) => [n + 100, n]),
    )
    expect(tapped).toEqual(DIGITS)
    expect(await through((numbers) => numbers.items())).toEqual(DIGITS.map((n) => [`k${n}`, n]))
  })

  it('gives events with everything in a record', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const seen: Event<string, number>[] = []
    await run(
      createAgent(deps, 'read', topic, async (numbers) => {
        for await (const event of numbers.map((n) => n + 1).events()) seen.push(event)
      }),
    )
    await engine.produce({
      topic: 'numbers',
      key: Buffer.from('a'),
      value: Buffer.from('1'),
      headers: [
        ['h', Buffer.from('1')],
        ['h', Buffer.from('zwei')],
        ['empty', null],
      ],
      timestamp: 12_345,
      partition: 0,
    })
    await until('seen', () => seen.length === 1)
    const [event] = seen
    expect(event).toMatchObject({ key: 'a', value: 2, timestamp: 12_345, topic: 'numbers', partition: 0, offset: 0 })
    expect(event?.headers).toEqual({ h: 'zwei', empty: '' })
    expect(event?.rawHeaders).toHaveLength(3)
    expect(event?.signal.aborted).toBe(false)
  })

  it('takes batches of at most max', async () => {
    const batches = await through((numbers) => numbers.take(4))
    expect(batches).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ])
  })

  it('takes events that arrive within a time, never mixing tasks', async () => {
    const clock = manualClock()
    const { deps, createTopic, engine, run, until } = streamsForTests({ clock })
    const topic = createTopic('numbers', { value: 'number', partitions: 2 })
    const batches: number[][] = []
    const part = await run(
      createAgent(deps, 'read', topic, async (numbers) => {
        for await (const batch of numbers.take(3, { within: '1s' })) batches.push(batch)
      }),
    )
    for (const [partition, value] of [
      [0, 1],
      [1, 10],
      [0, 2],
      [1, 20],
      [1, 30],
    ] as const)
      await topic.send({ value, partition })
    await until('a full batch', () => batches.length === 1)
    expect(batches).toEqual([[10, 20, 30]])
    await until('all in flight', () => part.counts().read?.received === 5)
    await clock.advance(1000)
    await until('the rest', () => batches.length === 2)
    expect(batches[1]).toEqual([1, 2])
    await engine.stop()
    expect(part.counts().read).toMatchObject({ received: 5, processed: 5, active: 0 })
  })

  it('gives back its batches while events in flight are awaited, and collects them again', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const seen: number[] = []
    const batches: number[][] = []
    const part = await run(
      createAgent(deps, 'read', topic, async (numbers) => {
        for await (const batch of numbers.tap((n) => void seen.push(n)).take(3)) batches.push(batch)
      }),
    )
    for (const value of [1, 2]) await topic.send({ value })
    await until('both in flight', () => part.counts().read?.active === 2)
    engine.rebalance()
    await until('both are in flight again', () => seen.length === 4 && part.counts().read?.active === 2)
    await topic.send({ value: 3 })
    await until('a batch', () => batches.length === 1)
    expect(batches).toEqual([[1, 2, 3]])
    expect(seen).toEqual([1, 2, 1, 2, 3])
  })

  it('gives back its batches when the worker stops', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const part = await run(
      createAgent(deps, 'read', topic, async (numbers) => {
        for await (const _ of numbers.take(3, { within: '1h' }));
      }),
    )
    await topic.send({ value: 1 })
    await until('in flight', () => part.counts().read?.active === 1)
    await engine.stop()
    expect(part.counts().read).toMatchObject({ received: 0, processed: 0, active: 0 })
  })

  it('makes batches of batches, which end as one and count all of their events', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const batches: number[][][] = []
    const part = await run(
      createAgent(deps, 'read', topic, async (numbers) => {
        for await (const batch of numbers.take(2).take(2)) batches.push(batch)
      }),
    )
    for (const value of [1, 2, 3, 4]) await topic.send({ value })
    await until('a batch', () => batches.length === 1)
    await engine.stop()
    expect(batches).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
    ])
    expect(part.counts().read).toMatchObject({ received: 4, processed: 4, active: 0 })
  })

  it('puts the rest of an event that is in the batch before into a batch by itself', async () => {
    const { deps, createTopic, run, until } = streamsForTests()
    const topic = createTopic('texts', { value: 'string', partitions: 1 })
    const batches: string[][] = []
    await run(
      createAgent(deps, 'read', topic, async (texts) => {
        for await (const batch of texts.flatMap((text) => text.split(' ')).take(2)) batches.push(batch)
      }),
    )
    for (const value of ['x', 'a1 a2', 'y', 'z']) await topic.send({ value })
    await until('three batches', () => batches.length === 3)
    expect(batches).toEqual([['x', 'a1'], ['a2'], ['y', 'z']])
  })

  it('gives events their own value, even those of one record and of a batch', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const seen: unknown[] = []
    const part = await run(
      createAgent(deps, 'read', topic, async (numbers) => {
        const batches = numbers
          .flatMap((n) => [n, -n])
          .events()
          .take(4)
          .events()
        for await (const batch of batches) seen.push(batch.value.map(({ value, offset }) => [offset, value]))
      }),
    )
    for (const value of [1, 2]) await topic.send({ value })
    await until('a batch', () => seen.length === 1)
    await engine.stop()
    expect(seen).toEqual([
      [
        [0, 1],
        [0, -1],
        [1, 2],
        [1, -2],
      ],
    ])
    expect(part.counts().read).toMatchObject({ received: 2, processed: 2, active: 0 })
  })

  it('groups by a new key, and keeps raw bytes, headers and timestamp', async () => {
    const { deps, createTopic, engine, declared, run, until } = streamsForTests()
    const orders = createTopic('orders', {
      key: 'number',
      value: json<{ city: string; n: number }>(),
      partitions: 4,
    })
    const seen: unknown[] = []
    const agent = createAgent(
      deps,
      'cities',
      orders,
      async (orders) => {
        for await (const event of orders.groupBy((order) => order.city, { name: 'by-city' }).events())
          seen.push([event.key, event.value, event.headers, event.timestamp, event.topic])
      },
      { concurrency: 3 },
    )
    const part = await run(agent)
    const value = '{"city": "Kiel",   "n": 1}'
    await engine.produce({
      topic: 'orders',
      key: Buffer.from('7'),
      value: Buffer.from(value),
      headers: [['a', Buffer.from([0xff])]],
      timestamp: 5,
      partition: undefined,
    })
    await orders.send({ key: 8, value: { city: 'Bonn', n: 2 }, headers: { b: 'c' }, timestamp: 6 })
    await until('both seen', () => seen.length === 2)
    const topic = 'app-cities-by-city-repartition'
    expect(seen).toEqual(
      expect.arrayContaining([
        ['Kiel', { city: 'Kiel', n: 1 }, { a: '\ufffd' }, 5, topic],
        ['Bonn', { city: 'Bonn', n: 2 }, { b: 'c' }, 6, topic],
      ]),
    )
    expect(declared.get(topic)).toMatchObject({
      internal: true,
      keyCodec: 'string',
      config: { 'cleanup.policy': 'delete' },
      partitions: undefined,
    })
    const raw = engine.records(topic).find((record) => record.key?.toString() === 'Kiel')
    expect(raw?.value?.toString()).toBe(value)
    expect(raw?.headers).toEqual([['a', Buffer.from([0xff])]])
    await engine.stop()
    expect(part.counts().cities).toMatchObject({ received: 4, processed: 4, active: 0 })
  })

  it('groups repeatedly, encoding values again if a step has changed them', async () => {
    const { deps, createTopic, engine, declared, run, until } = streamsForTests()
    const numbers = createTopic('numbers', { value: 'number' })
    const seen: [number, string][] = []
    await run(
      createAgent(deps, 'chain', numbers, async (numbers) => {
        const grouped = numbers
          .groupBy((n) => `parity ${n % 2}`, { name: 'parity' })
          .map((n) => `n${n}`)
          .groupBy((text) => text.length, { name: 'length', key: 'number', partitions: 3 })
        for await (const item of grouped.items()) seen.push(item)
      }),
    )
    for (const n of [1, 22, 333]) await numbers.send({ value: n })
    await until('all seen', () => seen.length === 3)
    expect(new Map(seen)).toEqual(
      new Map([
        [2, 'n1'],
        [3, 'n22'],
        [4, 'n333'],
      ]),
    )
    expect(engine.records('app-chain-length-repartition').map(({ value }) => value?.toString())).toContain('"n22"')
    expect(declared.get('app-chain-length-repartition')).toMatchObject({ keyCodec: 'number', partitions: 3 })
  })

  it('goes through a topic, in the bytes of that topic', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const numbers = createTopic('numbers', { value: 'number' })
    const texts = createTopic('texts', { key: 'string', value: 'string' })
    const seen: unknown[] = []
    await run(
      createAgent(deps, 'passage', numbers, async (numbers) => {
        for await (const event of numbers
          .map((n) => `<${n}>`)
          .through(texts)
          .events())
          seen.push([event.key, event.value, event.timestamp, event.headers])
      }),
    )
    await numbers.send({ key: 'k', value: 5, timestamp: 99, headers: { h: 'v' } })
    await until('seen', () => seen.length === 1)
    expect(seen).toEqual([['k', '<5>', 99, { h: 'v' }]])
    expect(engine.records('texts').map(({ value }) => value?.toString())).toEqual(['<5>'])
  })

  it('echoes to topics, agents, channels and functions as effects of the event', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const numbers = createTopic('numbers', { value: 'number', partitions: 1 })
    const copies = createTopic('copies', { value: 'number' })
    const channel = createChannel<number>(deps)
    const heard: unknown[] = []
    const listener = createAgent(deps, 'listener', { value: 'number' }, async (stream) => {
      for await (const event of stream.events()) heard.push(['agent', event.key, event.value, event.timestamp])
    })
    const onChannel = createAgent(deps, 'on-channel', channel, async (stream) => {
      for await (const event of stream.events()) heard.push(['channel', event.key, event.value, event.timestamp])
    })
    let failures = 1
    const main = createAgent(deps, 'main', numbers, async (numbers) => {
      for await (const _ of numbers.echo(copies, listener, channel, (n) => void heard.push(['function', n]))) {
        if (failures-- > 0) throw new Error('once')
      }
    })
    await run(listener, onChannel, main)
    await numbers.send({ key: 'k', value: 5, timestamp: 99 })
    await numbers.send({ key: 'k', value: 6, timestamp: 100 })
    await until('all heard', () => heard.length === 7)
    await engine.stop()
    expect(
      engine.records('copies').map(({ key, value, timestamp }) => [key?.toString(), value?.toString(), timestamp]),
    ).toEqual([
      ['k', '5', 99],
      ['k', '6', 100],
    ])
    expect(heard.filter((each) => Array.isArray(each) && each[0] === 'agent')).toEqual([
      ['agent', 'k', 5, 99],
      ['agent', 'k', 6, 100],
    ])
    expect(heard.filter((each) => Array.isArray(each) && each[0] === 'channel')).toEqual([
      ['channel', 'k', 5, 99],
      ['channel', 'k', 6, 100],
    ])
  })

  it('merges topics, channels and streams', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const a = createTopic('a', { value: 'number' })
    const b = createTopic('b', { value: 'string' })
    const c = createTopic('c', { value: 'string' })
    const channel = createChannel<boolean>(deps)
    const seen: unknown[] = []
    await run(
      createAgent(deps, 'merging', a, async (stream) => {
        for await (const value of stream
          .merge(b, channel)
          .map((value) => value)
          .merge(c))
          seen.push(value)
      }),
    )
    await a.send({ value: 1 })
    await b.send({ value: 'b' })
    await c.send({ value: 'c' })
    await channel.send({ value: true })
    await until('all seen', () => seen.length === 4)
    expect(new Set(seen)).toEqual(new Set([1, 'b', 'c', true]))
    await engine.stop()
    expect(engine.failure).toBeUndefined()
  })

  it.each([
    [
      'merge of one source with itself',
      (s: Stream<unknown, string>) => s.filter(() => true).merge(s),
      'merges two streams that read the same source',
    ],
    ['one name twice', (s: Stream<unknown, string>) => s.groupBy((v) => v).groupBy((v) => v), 'twice'],
    [
      'reading what is grouped',
      (s: Stream<unknown, string>) => (s.groupBy((v) => v), s),
      'go through groupBy "group-by" already',
    ],
    // @ts-expect-error the compiler says it first, except to JavaScript
    ['groupBy after events', (s: Stream<unknown, string>) => s.events().groupBy(() => ''), 'events() before'],
    ['take of nothing', (s: Stream<unknown, string>) => s.take(0), 'take(0)'],
  ])('refuses %s', async (_, shape, message) => {
    const { deps, engine, run, until } = streamsForTests()
    const agent = createAgent(deps, 'wrong', { value: 'string' }, async (stream) => {
      for await (const _ of shape(stream));
    })
    await run(agent).catch(() => {})
    await until('the worker fails', () => engine.failure !== undefined)
    expect(engine.failure).toMatchObject({ code: 'DEFINITION_INVALID', message: expect.stringContaining(message) })
  })

  it('refuses a groupBy after the handler has awaited something', async () => {
    const { deps, engine, run, until } = streamsForTests()
    await run(
      createAgent(deps, 'late', { value: 'string' }, async (stream) => {
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
        for await (const _ of stream.groupBy((value) => value));
      }),
    ).catch(() => {})
    await until('the worker fails', () => engine.failure !== undefined)
    expect(engine.failure).toMatchObject({ code: 'TOPOLOGY_LATE' })
  })

  it('passes over tombstones unless they are asked for', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const without: unknown[] = []
    const withThem: unknown[] = []
    const part = await run(
      createAgent(deps, 'without', topic, async (stream) => {
        for await (const n of stream) without.push(n)
      }),
      createAgent(
        deps,
        'with',
        topic,
        async (stream) => {
          for await (const n of stream) withThem.push(n)
        },
        { tombstones: true },
      ),
    )
    for (const value of [1, null, 2]) await topic.send({ key: 'k', value })
    await until('all seen', () => without.length === 2 && withThem.length === 3)
    await engine.stop()
    expect(withThem).toEqual([1, null, 2])
    expect(part.counts()).toMatchObject({
      without: { tombstones: 1, processed: 2, received: 3 },
      with: { tombstones: 0, processed: 3 },
    })
  })
})
