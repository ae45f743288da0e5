import { deferred, jsonCodec, MillraceError, type Codec } from '@millrace/core'
import type { EngineOptions } from '@millrace/engine-for-tests'
import type { CurrentEvent } from '@millrace/worker'
import { describe, expect, it } from 'vitest'
import type { Event } from '../events/event.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'
import { createAgent } from './create-agent.ts'
import type { FailedEvent } from '../errors/error-policy.ts'

/** A JSON codec whose schema rejects every value in one direction. */
function json(refused: 'encode' | 'decode' | 'neither'): Codec<unknown> {
  const { name, encode, decode } = jsonCodec
  const refuse = (): never => {
    throw new MillraceError('SCHEMA_MISMATCH', 'total: expected text.')
  }
  return { name, encode: refused === 'encode' ? refuse : encode, decode: refused === 'decode' ? refuse : decode }
}

/** The partition count of dead letters is unknown until `answer` resolves. */
function answering(answer: Promise<void>): NonNullable<EngineOptions['wrap']> {
  return (transport) => {
    const open = transport.producer.bind(transport)
    transport.producer = () => {
      const producer = open()
      const ask = producer.partitions.bind(producer)
      producer.partitions = async (topic) => {
        if (topic.endsWith('-dlq')) await answer
        return await ask(topic)
      }
      return producer
    }
    return transport
  }
}

describe('a failing agent', () => {
  it('handles the event again, and its effects before the failure count once', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 4 })
    const out = createTopic('out', { value: 'number' })
    const failed = new Set<number>()
    let runs = 0
    const part = await run(
      createAgent(
        deps,
        'sometimes',
        topic,
        async (stream) => {
          runs++
          for await (const n of stream) {
            await out.send({ value: n })
            if (n % 100 === 0 && !failed.has(n)) {
              failed.add(n)
              throw new Error(`no ${n}`)
            }
          }
        },
        { concurrency: 3 },
      ),
    )
    await Promise.all(Array.from({ length: 1000 }, (_, n) => topic.send({ key: `k${n % 50}`, value: n })))
    await until('all done', () => part.counts().sometimes?.processed === 1000)
    await engine.stop()
    expect(
      engine
        .records('out')
        .map(({ value }) => Number(value))
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 1000 }, (_, n) => n))
    expect(part.counts().sometimes).toEqual({
      received: 1000,
      processed: 1000,
      failed: 10,
      retried: 10,
      skipped: 0,
      deadLettered: 0,
      tombstones: 0,
      leftToOthers: 0,
      delayed: 0,
      queued: 0,
      late: 0,
      active: 0,
    })
    expect(runs).toBe(13)
    expect(engine.errors).toHaveLength(10)
  })

  it('stops the worker after its retries if configured, with a complete message', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    let attempts = 0
    const part = await run(
      createAgent(
        deps,
        'never',
        topic,
        async (stream) => {
          for await (const n of stream) {
            if (n !== 1) continue
            attempts++
            throw new Error('no good')
          }
        },
        { onError: { retry: 3, backoff: 1, then: 'stop' } },
      ),
    )
    for (const value of [0, 1, 2]) await topic.send({ value })
    await until('the worker fails', () => engine.failure !== undefined)
    expect(attempts).toBe(4)
    expect(engine.failure).toMatchObject({
      code: 'AGENT_FAILED',
      cause: expect.objectContaining({ message: 'no good' }),
    })
    expect(engine.failure?.message).toContain('Agent "never" failed on numbers/0 at offset 1')
    await engine.stop()
    expect(part.counts().never).toMatchObject({ processed: 1, failed: 4, retried: 3 })
  })

  it('skips if configured', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const out = createTopic('out', { value: 'number', partitions: 1 })
    const told: FailedEvent[] = []
    const handler = async (stream: AsyncIterable<number>): Promise<void> => {
      for await (const n of stream) {
        await out.send({ value: n })
        if (n === 1) throw new Error('no good')
      }
    }
    const part = await run(
      createAgent(deps, 'skips', topic, handler, { onError: 'skip' }),
      createAgent(deps, 'decides', topic, handler, {
        onError: (failure) => {
          told.push(failure)
          return failure.attempts < 1 ? { retry: 5, backoff: 1 } : 'skip'
        },
      }),
    )
    for (const value of [0, 1, 2]) await topic.send({ value })
    await until('done', () => part.counts().skips?.processed === 2 && part.counts().decides?.processed === 2)
    await engine.stop()
    expect(
      engine
        .records('out')
        .map(({ value }) => Number(value))
        .sort(),
    ).toEqual([0, 0, 2, 2])
    expect(part.counts()).toMatchObject({
      skips: { skipped: 1, failed: 1, active: 0 },
      decides: { skipped: 1, failed: 2, retried: 1 },
    })
    expect(told.map(({ attempts, event, error }) => [attempts, event.offset, error.message])).toEqual([
      [0, 1, 'no good'],
      [1, 1, 'no good'],
    ])
  })

  it('handles a batch again as a whole', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const out = createTopic('out', { value: 'number', partitions: 1 })
    const batches: number[][] = []
    const part = await run(
      createAgent(deps, 'batches', topic, async (stream) => {
        for await (const batch of stream.take(3)) {
          batches.push(batch)
          await out.send({ value: batch.length })
          if (batches.length === 2) throw new Error('once')
        }
      }),
    )
    for (let value = 0; value < 9; value++) await topic.send({ value })
    await until('done', () => batches.length === 4)
    await engine.stop()
    expect(batches).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [3, 4, 5],
      [6, 7, 8],
    ])
    expect(engine.records('out')).toHaveLength(3)
    expect(part.counts().batches).toMatchObject({ received: 9, processed: 9, failed: 1, active: 0 })
  })

  it.each([
    ['skip', { retry: 5, then: 'skip' } as const],
    ['stop', 'stop'],
  ] as const)('does not retry an undecodable event: %s', async (then, onError) => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const seen: number[] = []
    const agent = createAgent(
      deps,
      'decodes',
      topic,
      async (stream) => {
        for await (const value of stream) seen.push(value)
      },
      { onError },
    )
    const part = await run(agent)
    await Promise.all(['x', '7'].map((text) => engine.produce({ topic: 'numbers', value: Buffer.from(text) })))
    await until('it is decided', () => engine.failure !== undefined || seen.length === 1)
    expect(part.counts().decodes).toMatchObject({ skipped: then === 'skip' ? 1 : 0, retried: 0, failed: 1 })
    if (then === 'skip') return expect(seen).toEqual([7])
    expect(engine.failure).toMatchObject({ code: 'AGENT_FAILED', cause: { code: 'DECODE_FAILED' } })
    expect(engine.failure?.message).toMatch(/"decodes" failed on numbers\/0 at offset 0, attempt 1.*topic "numbers"/)
  })

  it.each([
    ['value', { key: json('neither'), value: json('decode') }],
    ['key', { key: json('decode'), value: json('neither') }],
  ])('does not retry a record whose %s does not match its schema', async (_, codecs) => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('orders', { ...codecs, partitions: 1 })
    const agent = createAgent(deps, 'reads', topic, async (orders) => {
      for await (const event of orders.events()) void event.key
    })
    const counts = await run(agent)
    const text = Buffer.from('{"total":1}')
    await engine.produce({ topic: 'orders', key: text, value: text, headers: [], timestamp: 0, partition: 0 })
    await until('it is decided', () => counts.counts().reads?.deadLettered === 1)
    expect(counts.counts().reads).toMatchObject({ failed: 1, retried: 0 })
    expect(engine.errors).toMatchObject([{ error: { code: 'SCHEMA_MISMATCH' } }])
  })

  it('retries an event whose handler has sent a value that does not match a schema', async () => {
    const { deps, createTopic, run, until } = streamsForTests()
    const topic = createTopic('orders', { value: 'json', partitions: 1 })
    const out = createTopic('out', { value: json('encode') })
    const part = await run(
      createAgent(deps, 'sends', topic, async (orders) => {
        for await (const order of orders) await out.send({ value: order })
      }),
    )
    await topic.send({ value: 1 })
    await until('it is given up', () => part.counts().sends?.deadLettered === 1)
    expect(part.counts().sends).toMatchObject({ failed: 4, retried: 3 })
  })

  it('is not charged with an event whose key another one holds', async () => {
    const { deps, createTopic, engine, contexts, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    let resolveConflict = 0
    const part = await run(
      createAgent(deps, 'aside', topic, async (stream) => {
        for await (const n of stream) {
          const event = contexts.getStore()?.event
          if (n !== 1 || resolveConflict >= 10 || event === undefined) continue
          resolveConflict++
          if (resolveConflict % 2 === 0) event.resolveConflict(event, 'k')
          try {
            event.resolveConflict(event, 'k')
          } catch {
            // A catch in user code does not hide the failure.
          }
        }
      }),
    )
    for (const value of [0, 1, 2]) await topic.send({ value })
    await until('done', () => part.counts().aside?.processed === 3 && resolveConflict === 10)
    await engine.stop()
    expect(part.counts().aside).toMatchObject({ failed: 0, retried: 0, processed: 3, active: 0 })
  })

  it('is not charged with an event whose task was lost, and its effects are dropped', async () => {
    const { deps, createTopic, engine, contexts, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const told: string[] = []
    const seen: number[] = []
    const part = await run(
      createAgent(deps, 'loses', topic, async (stream) => {
        for await (const n of stream) {
          const isFirst = !seen.includes(n)
          seen.push(n)
          const event = contexts.getStore()?.event
          if (n > 1 || !isFirst || event === undefined) continue
          await until('all before it is committed', () => (engine.log.committed('app')[0]?.offset ?? 0) >= n)
          event.hold({ apply: () => told.push('applied'), drop: () => told.push('dropped') })
          engine.expire()
          await until('its task is lost', () => !event.open)
          if (n === 0) throw new Error('aborted')
        }
      }),
    )
    for (const value of [0, 1, 2]) await topic.send({ value })
    await until('done', () => part.counts().loses?.processed === 3)
    await engine.stop()
    // The next owner of the task, here the same worker, processes the event.
    expect(seen).toEqual([0, 0, 1, 1, 2])
    expect(told).toEqual(['dropped', 'dropped'])
    expect(part.counts().loses).toMatchObject({ failed: 0, processed: 3, active: 0 })
  })

  it('shows onError the original value, or undefined if it cannot be decoded', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const kept = createTopic('kept', { value: 'number', partitions: 1 })
    const values: (number | undefined)[] = []
    const part = await run(
      createAgent(
        deps,
        'doubles',
        topic,
        async (numbers) => {
          for await (const batch of numbers.map((n) => String(n * 2)).take(1)) throw new Error(batch[0])
        },
        {
          onError: async ({ event }) => {
            values.push(event.value)
            if (event.value !== undefined) await event.forward(kept)
            return 'skip' as const
          },
        },
      ),
    )
    await topic.send({ value: 21 })
    await engine.produce({
      topic: 'numbers',
      key: null,
      value: Buffer.from('x'),
      headers: [],
      timestamp: 0,
      partition: 0,
    })
    await until('both are skipped', () => part.counts().doubles?.skipped === 2)
    expect(values).toEqual([21, undefined])
  })

  it.each([
    ['its dead letter is sent', 'deadLetter' as const],
    ['onError thinks about it', 'function' as const],
  ])('is not charged with an event whose task is lost while %s', async (_, when) => {
    const answer = deferred<void>()
    const { deps, createTopic, engine, contexts, run, until } = streamsForTests({ wrap: answering(answer.promise) })
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const events: CurrentEvent[] = []
    const asked: FailedEvent[] = []
    const decide = async (failed: FailedEvent): Promise<'stop'> => {
      asked.push(failed)
      await answer.promise
      return 'stop'
    }
    const part = await run(
      createAgent(
        deps,
        'loses',
        topic,
        async (stream) => {
          for await (const n of stream) {
            const event = contexts.getStore()?.event
            if (n > 0 || event === undefined || events.length > 0) continue
            events.push(event)
            throw new Error('no good')
          }
        },
        { onError: when === 'deadLetter' ? when : decide },
      ),
    )
    await topic.send({ value: 0 })
    await until('it has failed', () => part.counts().loses?.failed === 1)
    if (when === 'function') await until('it is asked', () => asked.length === 1)
    engine.expire()
    await until('its task is lost', () => events[0]?.open === false)
    answer.resolve()
    await until('it is out of hand', () => part.counts().loses?.active === 0)
    await topic.send({ value: 1 })
    await until('the agent goes on', () => part.counts().loses?.processed === 2)
    expect(engine.failure).toBeUndefined()
    expect(engine.records('app-loses-dlq')).toEqual([])
    expect(part.counts().loses).toMatchObject({ deadLettered: 0, skipped: 0 })
  })

  it('stops the worker when it returns while its stream is open', async () => {
    const { deps, engine, run, until } = streamsForTests()
    await run(
      createAgent(deps, 'returns', { value: 'number' }, async (stream) => {
        for await (const _ of stream) break
      }),
    )
    await deps.context().then((client) =>
      client.send({
        topic: 'app-returns',
        key: null,
        value: Buffer.from('1'),
        headers: [],
        timestamp: 0,
        partition: 0,
      }),
    )
    await until('the worker fails', () => engine.failure !== undefined)
    expect(engine.failure).toMatchObject({ code: 'AGENT_RETURNED' })
  })

  it('is restarted 5 times when it fails without an event, and then stops the worker', async () => {
    const { deps, engine, run, until } = streamsForTests()
    let runs = 0
    await run(
      createAgent(deps, 'unable', { value: 'number' }, async () => {
        runs++
        throw new Error('no connection')
      }),
    )
    await until('the worker fails', () => engine.failure !== undefined)
    expect(runs).toBe(6)
    expect(engine.failure).toMatchObject({ code: 'AGENT_FAILED', message: expect.stringContaining('no connection') })
  })

  it('continues when a loop was left and entered again', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const seen: number[] = []
    const part = await run(
      createAgent(deps, 'leaves', topic, async (stream) => {
        for await (const n of stream) {
          seen.push(n)
          if (n === 1) break
        }
        for await (const n of stream.map((n) => n * 10)) seen.push(n)
      }),
    )
    for (const value of [0, 1, 2]) await topic.send({ value })
    await until('done', () => seen.length === 3)
    await engine.stop()
    expect(seen).toEqual([0, 1, 20])
    expect(part.counts().leaves).toMatchObject({ processed: 3, active: 0 })
  })

  it('is charged with the event whose run failed, under noAck', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const done: number[] = []
    const attempts: number[] = []
    const work = async (event: Event<string | null, number>): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve))
      if (event.value === 1 && attempts.length < 2) {
        attempts.push(event.offset)
        throw new MillraceError('TIMEOUT', 'Slow.')
      }
      done.push(event.value)
    }
    const part = await run(
      createAgent(
        deps,
        'parallel',
        topic,
        async (stream) => {
          let pending: Promise<void>[] = []
          for await (const event of stream.noAck().events()) {
            pending.push(event.run(() => work(event)).then(() => event.ack()))
            if (event.value === 0) continue
            await Promise.all(pending)
            pending = []
          }
        },
        { onError: { retry: 2, backoff: 1 } },
      ),
    )
    for (const value of [0, 1, 2, 3]) await topic.send({ value })
    await until('all processed', () => part.counts().parallel?.processed === 4)
    expect(engine.failure).toBeUndefined()
    expect(attempts).toEqual([1, 1])
    expect(part.counts().parallel).toMatchObject({ received: 4, failed: 2, retried: 2, active: 0 })
    expect(new Set(done)).toEqual(new Set([0, 1, 2, 3]))
  })

  it('lets operators and groupBy fail by the same rules, without restarting the handler', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const seen: string[] = []
    let runs = 0
    let failures = 2
    const part = await run(
      createAgent(deps, 'operators', topic, async (stream) => {
        runs++
        const grouped = stream.groupBy((n) => {
          if (n === 1 && failures-- > 0) throw new Error('not now')
          return `k${n}`
        })
        for await (const [key] of grouped.items()) seen.push(key)
      }),
    )
    for (const value of [0, 1, 2]) await topic.send({ value })
    await until('all seen', () => seen.length === 3)
    await engine.stop()
    expect(new Set(seen)).toEqual(new Set(['k0', 'k1', 'k2']))
    expect(runs).toBe(1)
    expect(part.counts().operators).toMatchObject({ failed: 2, retried: 2, processed: 6 })
  })
})
