import type { Engine } from '@millrace/engine-for-tests'
import { describe, expect, it } from 'vitest'
import { createChannel } from '../channels/channel.ts'
import { readLetterHeaders } from '../dead-letters/letter-headers.ts'
import { replayMark, withReplayMark } from '../events/replay-mark.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'
import { createAgent } from './create-agent.ts'

const text = (value: Buffer | null | undefined): string | undefined => value?.toString('utf8')

function lettersOf(engine: Engine, agent: string) {
  return engine.records(`app-${agent}-dlq`).map((record) => {
    const told = readLetterHeaders(record.headers)
    return {
      value: text(record.value),
      key: text(record.key),
      timestamp: record.timestamp,
      facts: told?.facts,
      own: told?.own,
    }
  })
}

describe('an agent that fails for good', () => {
  it('retries, then keeps the original event without its effects', async () => {
    const { deps, createTopic, engine, declared, run, until } = streamsForTests()
    const topic = createTopic('numbers', { key: 'string', value: 'number', partitions: 4 })
    const out = createTopic('out', { value: 'number' })
    class Unlucky extends Error {}
    const part = await run(
      createAgent(deps, 'picky', topic, async (stream) => {
        for await (const n of stream.map((n) => n * 10)) {
          await out.send({ value: n })
          if (n === 70) throw new Unlucky('no seventy')
        }
      }),
    )
    for (let n = 0; n < 10; n++)
      await topic.send({ key: `k${n}`, value: n, headers: { trace: `t${n}` }, timestamp: 1000 + n, partition: n % 4 })
    await until('all are done', () => part.counts().picky?.processed === 9 && part.counts().picky?.active === 0)
    await engine.stop()
    expect(part.counts().picky).toMatchObject({ received: 10, processed: 9, failed: 4, retried: 3, deadLettered: 1 })
    expect(engine.records('out')).toHaveLength(9)
    expect(engine.failure).toBeUndefined()
    expect(lettersOf(engine, 'picky')).toEqual([
      {
        value: '7',
        key: 'k7',
        timestamp: 1007,
        own: [['trace', Buffer.from('t7')]],
        facts: {
          agent: 'picky',
          topic: 'numbers',
          partition: 3,
          offset: 1,
          timestamp: 1007,
          id: 'numbers/3@1',
          attempts: 4,
          failedAt: expect.any(Number),
          code: '',
          class: 'Unlucky',
          message: 'no seventy',
          stack: expect.stringContaining('agent-dead-letters.test.ts'),
          firstFailedAt: '',
          firstCode: '',
          firstClass: '',
          firstMessage: '',
          trimmed: '',
          due: '',
        },
      },
    ])
    // The letter keeps its record's partition.
    expect(declared.get('app-picky-dlq')).toMatchObject({
      partitions: undefined,
      sizedAs: ['numbers'],
      internal: true,
      config: { 'cleanup.policy': 'delete' },
    })
  })

  it('declares the topic only if a letter is possible', async () => {
    const { deps, createTopic, engine, declared, run } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const idle = async (stream: AsyncIterable<number>): Promise<void> => {
      for await (const _ of stream);
    }
    await run(
      createAgent(deps, 'keeps', topic, idle),
      createAgent(deps, 'decides', topic, idle, { onError: () => 'stop' }),
      createAgent(deps, 'stops', topic, idle, { onError: 'stop' }),
      createAgent(deps, 'skips', topic, idle, { onError: { retry: 2, then: 'skip' } }),
    )
    await engine.stop()
    expect([...declared.keys()].filter((name) => name.endsWith('-dlq'))).toEqual(['app-keeps-dlq', 'app-decides-dlq'])
  })

  it('keeps undecodable events at once, and those for which its own function asks it', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const part = await run(
      createAgent(deps, 'decodes', topic, async (stream) => {
        for await (const _ of stream);
      }),
      createAgent(
        deps,
        'decides',
        topic,
        async (stream) => {
          for await (const n of stream) if (n === 7) throw new Error('seven')
        },
        { onError: ({ error }) => (error.message === 'seven' ? 'deadLetter' : 'skip') },
      ),
    )
    await engine.produce({
      topic: 'numbers',
      key: null,
      value: Buffer.from([0xff]),
      headers: [],
      timestamp: 0,
      partition: 0,
    })
    await topic.send({ value: 7 })
    await until(
      'both are done',
      () => part.counts().decodes?.processed === 1 && part.counts().decides?.deadLettered === 1,
    )
    await engine.stop()
    expect(part.counts()).toMatchObject({
      decodes: { deadLettered: 1, retried: 0, failed: 1 },
      decides: { deadLettered: 1, skipped: 1, retried: 0 },
    })
    expect(engine.records('app-decodes-dlq').map(({ value }) => value)).toEqual([Buffer.from([0xff])])
    expect(lettersOf(engine, 'decodes')[0]?.facts).toMatchObject({ code: 'DECODE_FAILED', attempts: 1 })
  })

  it('keeps every event of a batch', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const part = await run(
      createAgent(
        deps,
        'batches',
        topic,
        async (stream) => {
          for await (const batch of stream.take(3)) if (batch.includes(4)) throw new Error('four')
        },
        { onError: { retry: 1, backoff: 1 } },
      ),
    )
    for (let value = 0; value < 9; value++) await topic.send({ value })
    await until('all are done', () => part.counts().batches?.processed === 6)
    await engine.stop()
    expect(part.counts().batches).toMatchObject({ processed: 6, deadLettered: 3, active: 0 })
    expect(lettersOf(engine, 'batches').map(({ value, facts }) => [value, facts?.offset, facts?.attempts])).toEqual([
      ['3', 3, 2],
      ['4', 4, 2],
      ['5', 5, 2],
    ])
  })

  it('reports the failure to the asker', async () => {
    const { deps, engine, run } = streamsForTests()
    const double = createAgent(
      deps,
      'double',
      { value: 'number' },
      async function* (stream) {
        for await (const n of stream) {
          if (n === 13) throw new Error('unlucky')
          yield n * 2
        }
      },
      { onError: 'deadLetter' },
    )
    const part = await run(double)
    await expect(double.ask(13)).rejects.toThrow('unlucky')
    expect(await double.ask(2)).toBe(4)
    await engine.stop()
    expect(part.counts().double).toMatchObject({ deadLettered: 1, processed: 1 })
    expect(lettersOf(engine, 'double')).toHaveLength(1)
  })

  it('keeps messages of a channel as JSON, and stops if a message has no JSON', async () => {
    const { deps, engine, run, until } = streamsForTests()
    const channel = createChannel<{ n: number | bigint }>(deps, 'parcels')
    const part = await run(
      createAgent(
        deps,
        'opens',
        channel,
        async (stream) => {
          for await (const _ of stream) throw new Error('empty')
        },
        { onError: 'deadLetter' },
      ),
    )
    await channel.send({ key: 'k', value: { n: 1 } })
    await until('it is kept', () => part.counts().opens?.deadLettered === 1)
    expect(lettersOf(engine, 'opens')).toMatchObject([{ key: 'k', value: '{"n":1}', facts: { topic: 'parcels' } }])
    await channel.send({ value: { n: 1n } })
    await until('the worker fails', () => engine.failure !== undefined)
    expect(engine.failure).toMatchObject({ code: 'AGENT_FAILED', cause: { message: 'empty' } })
    expect(engine.failure?.message).toContain('cannot be kept as a dead letter')
  })
})

describe('a replayed record', () => {
  it('is handled by its agent only, which passes it on without the mark', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const out = createTopic('out', { value: 'number', partitions: 1 })
    const seen: string[] = []
    const marks: (string | undefined)[] = []
    const handler = (name: string) =>
      createAgent(deps, name, topic, async (stream) => {
        for await (const event of stream.events()) {
          seen.push(`${name} ${event.value}`)
          marks.push(event.headers['millrace-replay-for'])
          if (name === 'b') await event.forward(out)
        }
      })
    const part = await run(handler('a'), handler('b'))
    const mark = replayMark('app', 'b', 'numbers')
    const record = { topic: 'numbers', key: null, timestamp: 0, partition: 0 }
    // A decoding failure of the other agent does not affect this one.
    await engine.produce({ ...record, value: Buffer.from('1'), headers: withReplayMark([['trace', null]], mark) })
    await topic.send({ value: 2 })
    await until('all is seen', () => seen.length === 3)
    await engine.stop()
    expect(seen.toSorted()).toEqual(['a 2', 'b 1', 'b 2'])
    expect(marks).toEqual([undefined, undefined, undefined])
    expect(part.counts()).toMatchObject({ a: { leftToOthers: 1, processed: 1 }, b: { leftToOthers: 0, processed: 2 } })
    expect(engine.records('out').map(({ headers }) => headers)).toEqual([[['trace', null]], []])
  })
})
