import { type Immutable, json } from '@millrace/core'
import type { SendReceipt } from '@millrace/worker'
import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { createChannel } from '../channels/channel.ts'
import type { Event } from '../events/event.ts'
import type { Stream } from '../streams/stream.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'
import { createTopic } from '../topics/create-topic.ts'
import type { NeverYields } from './agent.ts'
import { createAgent } from './create-agent.ts'

const { deps } = streamsForTests()
const Word = z.object({ word: z.string() })
const Stamped = z.object({ at: z.iso.datetime().transform((text) => new Date(text)) })

describe('types of topics', () => {
  it('sends the input of a codec and reads its output', () => {
    const posts = createTopic(deps, 'posts', { value: 'string' })
    expectTypeOf(posts.send).parameter(0).toHaveProperty('value').toEqualTypeOf<string | null>()
    expectTypeOf(() => posts.send({ value: '' })).returns.resolves.toEqualTypeOf<SendReceipt>()
    // @ts-expect-error a number is no string
    void (() => posts.send({ value: 1 }))
    const stamped = createTopic(deps, 'stamped', { key: 'number', value: json(Stamped) })
    expectTypeOf(stamped.send).parameter(0).toHaveProperty('value').toEqualTypeOf<{ at: string } | null>()
    expectTypeOf(stamped.send).parameter(0).toHaveProperty('key').toEqualTypeOf<number | null | undefined>()
    const bare = createTopic(deps, 'bare', { value: Stamped })
    expectTypeOf(bare.send).parameter(0).toHaveProperty('value').toEqualTypeOf<{ at: string } | null>()
    const loose = createTopic(deps, 'loose')
    expectTypeOf(loose.send).parameter(0).toHaveProperty('value').toEqualTypeOf<unknown>()
  })
})

describe('a value that a table has returned', () => {
  const Cart = z.object({ items: z.array(z.object({ sku: z.string() })), owner: z.string() })
  type CartKept = Immutable<z.infer<typeof Cart>>

  it('can be sent, asked with and yielded although it is readonly', () => {
    const carts = createTopic(deps, 'carts', { value: json(Cart) })
    const kept = {} as CartKept
    void (() => carts.send({ value: kept }))
    void (() => carts.send({ value: { items: [{ sku: 'a' }], owner: 'b' } }))
    // @ts-expect-error a cart has an owner
    void (() => carts.send({ value: { items: [] } }))
    const agent = createAgent(
      deps,
      'carts',
      carts,
      async function* (carts) {
        for await (const _ of carts) yield kept
      },
      { sinks: [carts] },
    )
    void (() => agent.ask(kept))
    void (() => agent.cast(kept))
    createAgent(deps, 'changes', carts, async (carts) => {
      for await (const cart of carts) expectTypeOf(cart).toEqualTypeOf<z.infer<typeof Cart>>()
    })
  })
})

describe('types of agents', () => {
  it('types the event of onError, whose value may be undecoded', () => {
    createAgent(
      deps,
      'fails',
      { key: 'string', value: json(Word) },
      async (words) => {
        for await (const _ of words);
      },
      {
        onError: ({ event }) => {
          expectTypeOf(event).toEqualTypeOf<Event<string, { word: string } | undefined>>()
          return event.value?.word === '' ? 'skip' : undefined
        },
      },
    )
  })

  it('says why an agent that never yields cannot be asked', () => {
    const silent = createAgent(deps, 'silent', { value: 'string' }, async (stream) => void stream)
    expectTypeOf(silent.ask).parameter(0).toEqualTypeOf<string & NeverYields>()
  })

  it('gives the handler of an agent with a schema its values', () => {
    const agent = createAgent(deps, 'schema', { key: 'string', value: json(Word) }, async (words) => {
      expectTypeOf(words).toEqualTypeOf<Stream<string, { word: string }>>()
      for await (const { word } of words) expectTypeOf(word).toEqualTypeOf<string>()
    })
    expectTypeOf(agent.send).parameter(0).toHaveProperty('value').toEqualTypeOf<{ word: string } | null>()
    expectTypeOf(agent.send).parameter(0).toHaveProperty('key').toEqualTypeOf<string | null | undefined>()
    expectTypeOf(agent.cast).parameter(0).toEqualTypeOf<{ word: string }>()
    // @ts-expect-error the agent never yields
    void (() => agent.ask({ word: '' }))
    // @ts-expect-error the agent never yields
    void (() => agent.join([{ word: '' }]))
  })

  it('takes a bare schema, with transforms', () => {
    const agent = createAgent(deps, 'bare-schema', { value: Stamped }, async (stream) => {
      for await (const [key, value] of stream.items()) {
        expectTypeOf(key).toEqualTypeOf<string | null>()
        expectTypeOf(value).toEqualTypeOf<{ at: Date }>()
      }
    })
    expectTypeOf(agent.cast).parameter(0).toEqualTypeOf<{ at: string }>()
  })

  it('gives the handler of an agent on a topic its values', () => {
    const posts = createTopic(deps, 'posts', { value: 'string' })
    createAgent(deps, 'topic', posts, async (posts) => {
      expectTypeOf(posts).toEqualTypeOf<Stream<string | null, string>>()
      for await (const post of posts) expectTypeOf(post).toEqualTypeOf<string>()
    })
    createAgent(deps, 'events', posts, async (posts) => {
      for await (const event of posts.events()) expectTypeOf(event).toEqualTypeOf<Event<string | null, string>>()
    })
  })

  it('yields tombstones if the agent asks for them', () => {
    createAgent(deps, 'tombstones', { value: 'string', tombstones: true }, async (stream) => {
      for await (const value of stream) expectTypeOf(value).toEqualTypeOf<string | null>()
    })
    const posts = createTopic(deps, 'posts', { value: 'string', tombstones: true })
    createAgent(deps, 'tombstones-2', posts, async (stream) => {
      for await (const value of stream) expectTypeOf(value).toEqualTypeOf<string | null>()
    })
    createAgent(
      deps,
      'tombstones-3',
      { value: 'string' },
      async (stream) => {
        for await (const value of stream) expectTypeOf(value).toEqualTypeOf<string | null>()
      },
      { tombstones: true },
    )
  })

  it('reads several sources and channels', () => {
    const a = createTopic(deps, 'a', { key: 'number', value: 'string' })
    const b = createTopic(deps, 'b', { key: 'string', value: 'number' })
    const agent = createAgent(deps, 'several', [a, b], async (stream) => {
      expectTypeOf(stream).toEqualTypeOf<Stream<string | number, string | number>>()
      for await (const _ of stream);
    })
    expectTypeOf(agent.cast).parameter(0).toEqualTypeOf<string>()
    const channel = createChannel<{ n: number }>(deps)
    createAgent(deps, 'channel', channel, async (stream) => {
      expectTypeOf(stream).toEqualTypeOf<Stream<string | null, { n: number }>>()
      for await (const _ of stream);
    })
    createAgent(deps, 'mixed', [a, channel], async (stream) => {
      expectTypeOf(stream).toEqualTypeOf<Stream<string | number | null, string | { n: number }>>()
      for await (const _ of stream);
    })
  })

  it('derives the reply from what the handler yields, and checks sinks against it', () => {
    const lengths = createTopic(deps, 'lengths', { value: 'number' })
    const texts = createTopic(deps, 'texts', { value: 'string' })
    const channel = createChannel<number>(deps)
    const agent = createAgent(
      deps,
      'yields',
      { value: 'string' },
      async function* (texts) {
        for await (const text of texts) yield text.length
      },
      { sinks: [lengths, channel, (n) => void expectTypeOf(n).toEqualTypeOf<number>()] },
    )
    // Never called, because nothing would answer.
    expectTypeOf(() => agent.ask('')).returns.resolves.toEqualTypeOf<number>()
    expectTypeOf(() => agent.join([''])).returns.resolves.toEqualTypeOf<number[]>()
    expectTypeOf(agent.map([''])).toEqualTypeOf<AsyncGenerator<number, void, undefined>>()
    createAgent(
      deps,
      'wrong-sink',
      { value: 'string' },
      async function* (texts) {
        for await (const text of texts) yield text.length
      },
      // @ts-expect-error the topic takes strings, the agent yields numbers
      { sinks: [texts] },
    )
    createAgent(deps, 'next-sink', lengths, async (stream) => void stream.map(String), { sinks: [], concurrency: 4 })
    createAgent(
      deps,
      'agent-sink',
      lengths,
      async function* (stream) {
        for await (const n of stream) yield String(n)
      },
      { sinks: [agent] },
    )
  })

  it('types every operator', () => {
    const out = createTopic(deps, 'out', { key: 'number', value: 'string' })
    const numbers = createTopic(deps, 'numbers', { value: 'number' })
    const other = createTopic(deps, 'other', { key: 'bytes', value: json<{ other: true }>() })
    createAgent(deps, 'operators', { key: 'string', value: json<{ n: number; city?: string }>() }, async (stream) => {
      expectTypeOf(stream.map((v) => v.n)).toEqualTypeOf<Stream<string, number>>()
      expectTypeOf(stream.map(async (v) => v.n)).toEqualTypeOf<Stream<string, number>>()
      expectTypeOf(stream.map((v) => v.city).filter((c): c is string => c !== undefined)).toEqualTypeOf<
        Stream<string, string>
      >()
      expectTypeOf(stream.map((v) => v.city).filter((c) => c !== undefined)).toEqualTypeOf<Stream<string, string>>()
      expectTypeOf(stream.take(10, { within: '1s' })).toEqualTypeOf<Stream<string, { n: number; city?: string }[]>>()
      expectTypeOf(stream.enumerate()).toEqualTypeOf<
        Stream<string, [number: number, value: { n: number; city?: string }]>
      >()
      expectTypeOf(stream.groupBy((v) => v.city ?? '')).toEqualTypeOf<Stream<string, { n: number; city?: string }>>()
      expectTypeOf(stream.groupBy((v) => v.n, { key: 'number', name: 'n' })).toEqualTypeOf<
        Stream<number, { n: number; city?: string }>
      >()
      // @ts-expect-error a number key needs a codec
      void (() => stream.groupBy((v) => v.n))
      expectTypeOf(stream.map((v) => String(v.n)).through(out)).toEqualTypeOf<Stream<number, string>>()
      // @ts-expect-error the topic takes strings
      void (() => stream.map((v) => v.n).through(out))
      // @ts-expect-error events are no values of records
      void (() => stream.events().groupBy((event) => event.key))
      const behind = stream.events().tap(() => {})
      // @ts-expect-error nor are they behind further steps
      void (() => behind.groupBy(() => 1, { key: 'number' }))
      const batches = stream.events().take(2)
      // @ts-expect-error nor in batches
      void (() => batches.groupBy(() => ''))
      const events = createTopic(deps, 'events', { value: 'json' })
      // @ts-expect-error nor for a topic that takes anything
      void (() => stream.events().through(events))
      expectTypeOf(
        stream
          .events()
          .map((event) => event.value.n)
          .groupBy(String),
      ).toEqualTypeOf<Stream<string, number>>()
      expectTypeOf(stream.map((v) => v.n).echo(numbers)).toEqualTypeOf<Stream<string, number>>()
      // @ts-expect-error the topic takes numbers
      void (() => stream.echo(numbers))
      expectTypeOf(
        stream
          .map(() => 1)
          .merge(
            out,
            stream.map(() => true),
            createChannel<Date>(deps),
          ),
      ).toEqualTypeOf<Stream<string | number | null, number | string | boolean | Date>>()
      expectTypeOf(stream.merge(other)).toEqualTypeOf<
        Stream<string | Buffer, { n: number; city?: string } | { other: true }>
      >()
      for await (const event of stream.noAck().events()) await event.forward(numbers)
    })
  })

  it('refuses handlers that return something', () => {
    // @ts-expect-error a handler gives nothing or yields
    createAgent(deps, 'returns', { value: 'string' }, async () => 1)
  })
})
