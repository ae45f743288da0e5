import { type Deferred, deferred } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { createAgent } from '../agents/create-agent.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'
import { CHANNEL_CAPACITY } from './channel-queue.ts'
import { createChannel } from './channel.ts'

describe('Channel', () => {
  it('gives every agent each value unchanged, in order per key', async () => {
    const { deps, engine, run } = streamsForTests()
    const channel = createChannel<{ n: number }>(deps)
    const seen = new Map<string | null, number[]>()
    const others: object[] = []
    const value = { n: 0 }
    await run(
      createAgent(
        deps,
        'one',
        channel,
        async (stream) => {
          for await (const [key, { n }] of stream.items()) {
            if (n % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
            seen.set(key, [...(seen.get(key) ?? []), n])
          }
        },
        { concurrency: 4 },
      ),
      createAgent(deps, 'two', channel, async (stream) => {
        for await (const each of stream) others.push(each)
      }),
    )
    await channel.send({ value })
    for (let n = 0; n < 300; n++) await channel.send({ key: `k${n % 10}`, value: { n } })
    await engine.stop()
    expect(others[0]).toBe(value)
    expect(others).toHaveLength(301)
    for (let k = 0; k < 10; k++) expect(seen.get(`k${k}`)).toEqual(Array.from({ length: 30 }, (_, i) => i * 10 + k))
    await expect(channel.send({ value })).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' })
  })

  it('makes senders wait when it is full', async () => {
    const { deps, run, until } = streamsForTests()
    const channel = createChannel<number>(deps)
    let open = false
    let seen = 0
    await run(
      createAgent(deps, 'slow', channel, async (stream) => {
        for await (const _ of stream) {
          if (!open) await until('open', () => open)
          seen++
        }
      }),
    )
    // One message is in flight and leaves room in the queue.
    for (let n = 0; n < CHANNEL_CAPACITY + 1; n++) await channel.send({ value: n })
    let sent = false
    const last = channel.send({ value: -1 }).then(() => {
      sent = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(sent).toBe(false)
    open = true
    await last
    await until('all seen', () => seen === CHANNEL_CAPACITY + 2)
  })

  it('retries a failed message before any other of its instance', async () => {
    const { deps, createTopic, engine, run } = streamsForTests()
    const channel = createChannel<number>(deps)
    const out = createTopic('out', { value: 'number', partitions: 1 })
    const seen: number[] = []
    let failures = 2
    const part = await run(
      createAgent(deps, 'fails', channel, async (stream) => {
        for await (const n of stream) {
          seen.push(n)
          if (n === 1 && failures-- > 0) throw new Error('not yet')
          const receipt = await out.send({ value: n })
          expect(await receipt.metadata()).toMatchObject({ topic: 'out' })
        }
      }),
    )
    for (const value of [0, 1, 2]) await channel.send({ value })
    await engine.stop()
    expect(seen).toEqual([0, 1, 1, 1, 2])
    expect(engine.records('out').map(({ value }) => Number(value))).toEqual([0, 1, 2])
    expect(part.counts().fails).toMatchObject({ received: 3, processed: 3, failed: 2, retried: 2, active: 0 })
  })

  it('rejects senders that wait for room when the worker begins to stop', async () => {
    const { deps, engine, run, until } = streamsForTests()
    const channel = createChannel<number>(deps)
    const gate: Deferred<void> = deferred<void>()
    let begun = 0
    await run(
      createAgent(deps, 'slow', channel, async (stream) => {
        for await (const _ of stream) {
          begun++
          await gate.promise
        }
      }),
    )
    await channel.send({ value: 0 })
    await until('one in flight', () => begun === 1)
    for (let value = 0; value < CHANNEL_CAPACITY; value++) await channel.send({ value })
    const last = channel.send({ value: -1 })
    const stopped = engine.stop()
    await expect(last).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' })
    expect(begun).toBe(1)
    gate.resolve()
    await stopped
  })

  it('rejects if no agent could read the message', async () => {
    const { deps, engine, run } = streamsForTests()
    await run()
    await expect(createChannel<number>(deps, 'lonely').send({ value: 1 })).rejects.toMatchObject({
      code: 'CHANNEL_CLOSED',
    })
    const apart = { ...deps, runningWorker: () => undefined }
    await expect(createChannel<number>(apart, 'lonely').send({ value: 1 })).rejects.toMatchObject({ code: 'NO_WORKER' })
    await engine.stop()
  })
})
