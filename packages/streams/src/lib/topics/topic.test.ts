import { json } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createChannel } from '../channels/channel.ts'
import { createAgent } from '../agents/create-agent.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'

describe('Topic', () => {
  it('sends acknowledged outside agents', async () => {
    const { createTopic, engine } = streamsForTests()
    const topic = createTopic('posts', { value: 'string', partitions: 2 })
    await engine.createTopic('posts', 2)
    const receipt = await topic.send({
      value: 'hello',
      headers: { a: 'ä', b: new Uint8Array([1, 2]) },
      timestamp: 7,
      partition: 1,
    })
    expect(await receipt.metadata()).toEqual({ topic: 'posts', partition: 1, offset: 0, timestamp: 7 })
    await topic.send({ key: 'k', value: null })
    const [plain, tombstone] = [...engine.records('posts')].sort(
      (a, b) => Number(b.key === null) - Number(a.key === null),
    )
    expect(plain).toEqual({
      partition: 1,
      offset: 0,
      key: null,
      value: Buffer.from('hello'),
      headers: [
        ['a', Buffer.from('ä')],
        ['b', Buffer.from([1, 2])],
      ],
      timestamp: 7,
    })
    expect(tombstone).toMatchObject({ key: Buffer.from('k'), value: null })
    expect(Math.abs((tombstone?.timestamp ?? 0) - engine.clock.now())).toBeLessThan(5000)
  })

  it('names itself when a value or a key cannot be sent', async () => {
    const { createTopic } = streamsForTests()
    const topic = createTopic('people', { key: 'number', value: json(z.object({ age: z.number().min(0) })) })
    await expect(topic.send({ value: { age: -1 } })).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringContaining('topic "people"'),
    })
    await expect(topic.send({ key: Number.NaN, value: { age: 1 } })).rejects.toMatchObject({
      code: 'ENCODE_FAILED',
      message: expect.stringContaining('topic "people"'),
    })
    await expect(topic.send({ value: { age: 1 }, partition: -1 })).rejects.toMatchObject({ code: 'PARTITION_MISSING' })
  })

  it('takes the trace of the current event along, unless the send brings its own', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const orders = createTopic('orders', { value: 'string', partitions: 1 })
    const out = createTopic('out', { value: 'string', partitions: 1 })
    const calls = createChannel<string>(deps, 'calls')
    const heard: (readonly [string, Readonly<Record<string, string>>])[] = []
    const part = await run(
      createAgent(deps, 'relay', orders, async (stream) => {
        for await (const order of stream) {
          await out.send({ value: `${order} plain` })
          await out.send({ value: `${order} more`, headers: { kind: 'test' } })
          await out.send({ value: `${order} own`, headers: { traceparent: 'mine' } })
          await out.send({ value: `${order} state`, headers: { tracestate: 'mine' } })
          await calls.send({ value: order })
        }
      }),
      createAgent(deps, 'calls', calls, async (stream) => {
        for await (const event of stream.events()) {
          heard.push([event.value, event.headers])
          await out.send({ value: `${event.value} called` })
        }
      }),
    )
    await out.send({ value: 'outside' })
    await orders.send({ value: 'a', headers: { traceparent: '00-1', tracestate: 'v=1', other: 'x' } })
    await orders.send({ value: 'b' })
    await until('all heard', () => heard.length === 2)
    await until('all sent', () => engine.records('out').length === 11)
    await engine.stop()
    expect(part.counts()).toMatchObject({ relay: { failed: 0 }, calls: { failed: 0 } })
    const sent = new Map(
      engine
        .records('out')
        .map(({ value, headers }) => [
          value?.toString(),
          Object.fromEntries(headers.map(([name, text]) => [name, text?.toString()])),
        ]),
    )
    const trace = { traceparent: '00-1', tracestate: 'v=1' }
    expect(Object.fromEntries(sent)).toEqual({
      outside: {},
      'a plain': trace,
      'a more': { kind: 'test', ...trace },
      'a own': { traceparent: 'mine' },
      'a state': { traceparent: '00-1', tracestate: 'mine' },
      'a called': trace,
      'b plain': {},
      'b more': { kind: 'test' },
      'b own': { traceparent: 'mine' },
      'b state': { tracestate: 'mine' },
      'b called': {},
    })
    expect(heard).toEqual([
      ['a', trace],
      ['b', {}],
    ])
  })

  it('says how to send when it is given a value as the record', async () => {
    const { deps, createTopic } = streamsForTests()
    const topic = createTopic('people', { value: 'json' })
    const agent = createAgent(deps, 'greet', topic, async () => {})
    const channel = createChannel<number>(deps, 'numbers')
    for (const [target, where] of [
      [topic, 'topic "people"'],
      [agent, 'agent "greet"'],
      [channel, 'channel "numbers"'],
    ] as const) {
      const refused = async (given: unknown): Promise<unknown> => Reflect.apply(target.send, target, [given])
      for (const [given, got] of [
        [{ n: 1 }, 'an object of n without a value'],
        ['hello', 'text alone'],
        [undefined, 'undefined'],
        [[], 'a list'],
        [{}, 'an empty object'],
      ] as const)
        await expect(refused(given)).rejects.toThrow(
          `ENCODE_FAILED: The send to ${where} takes { key, value }, and was given ${got}.`,
        )
    }
  })

  it('is refused where its options make no sense', () => {
    const { deps, createTopic } = streamsForTests()
    expect(() => createTopic('a/b')).toThrow(/NAME_INVALID/)
    expect(() => createTopic('a', { partitions: 0 })).toThrow(/TOPIC_INVALID.*partitions: 0/)
    expect(() => createTopic('a', { retention: -1 })).toThrow(/DURATION_INVALID.*retention/)
    const misspelt = { partition: 4 }
    expect(() => createAgent(deps, 'a', { value: 'string', ...misspelt }, async () => {})).toThrow(
      /DEFINITION_INVALID.*"app-a" has no option partition/,
    )
    expect(createTopic('a', { retention: '1h', config: { 'max.message.bytes': '5' } }).declaration).toEqual({
      name: 'a',
      partitions: undefined,
      config: { 'retention.ms': '3600000', 'max.message.bytes': '5' },
      create: true,
      internal: false,
      keyCodec: undefined,
    })
  })

  it('takes the timestamp of the current event, and says when there is no key that should be there', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const keyed = createTopic('keyed', { key: 'string', value: 'string', partitions: 1 })
    const out = createTopic('out', { value: 'string' })
    const keys: unknown[] = []
    const part = await run(
      createAgent(
        deps,
        'copies',
        keyed,
        async (stream) => {
          for await (const event of stream.events()) {
            await out.send({ value: event.value })
            keys.push(event.key)
          }
        },
        { onError: 'skip' },
      ),
    )
    await keyed.send({ key: 'k', value: 'a', timestamp: 11 })
    await keyed.send({ value: 'b', timestamp: 12 })
    await until('both done', () => part.counts().copies?.processed === 1 && part.counts().copies?.skipped === 1)
    expect(keys).toEqual(['k'])
    expect(engine.records('out').map(({ timestamp }) => timestamp)).toEqual([11])
  })

  it('forwards events in their bytes', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const from = createTopic('from', { value: 'json', partitions: 1 })
    const to = createTopic('to', { value: 'json', partitions: 1 })
    const other = createAgent(deps, 'other', { value: 'json' }, async (stream) => {
      for await (const _ of stream);
    })
    await run(
      other,
      createAgent(deps, 'forwards', from, async (stream) => {
        for await (const event of stream.events()) {
          await event.forward(to)
          await event.forward(other)
        }
      }),
    )
    const record = {
      key: Buffer.from([0xfe]),
      value: Buffer.from('[1,  2]'),
      headers: [['h', null]] as const,
      timestamp: 3,
    }
    await engine.produce({ topic: 'from', ...record, partition: 0 })
    await until('forwarded', () => engine.records('app-other').length === 1)
    expect(engine.records('to')).toMatchObject([{ offset: 0, ...record }])
    expect(engine.records('app-other')).toMatchObject([{ offset: 0, ...record }])
  })
})
