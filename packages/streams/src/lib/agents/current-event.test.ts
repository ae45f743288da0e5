import type { CurrentEvent } from '@millrace/worker'
import { describe, expect, it } from 'vitest'
import type { Event } from '../events/event.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'
import { createAgent } from './create-agent.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('the current event', () => {
  it('is visible in the loop body, even after awaits, with every instance at its own event', async () => {
    const { deps, createTopic, engine, contexts, run, until } = streamsForTests()
    const topic = createTopic('numbers', { key: 'string', value: 'number', partitions: 8 })
    let wrong = 0
    let right = 0
    const check = (event: Event<string, number>): void => {
      const current = contexts.getStore()?.event
      if (current?.offset === event.offset && current.partition === event.partition && current.open) right++
      else wrong++
    }
    const part = await run(
      createAgent(
        deps,
        'scoped',
        topic,
        async (stream) => {
          for await (const event of stream.events()) {
            check(event)
            await Promise.resolve()
            check(event)
            if (event.value % 3 === 0) await turn()
            check(event)
            await Promise.all([turn().then(() => check(event)), (async () => check(event))()])
          }
        },
        { concurrency: 4 },
      ),
    )
    for (let n = 0; n < 400; n++) {
      await topic.send({ key: `k${n}`, value: n })
      if (n % 50 === 0) await turn()
    }
    await until('all processed', () => part.counts().scoped?.received === 400 && right + wrong === 2000)
    expect({ wrong, right }).toEqual({ wrong: 0, right: 2000 })
    await engine.stop()
    expect(part.counts().scoped?.processed).toBe(400)
  })

  it('is correct in async generators after each yield, whether events are ready or not', async () => {
    const { deps, createTopic, contexts, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    let wrong = 0
    let right = 0
    const check = (event: Event<string | null, number>): void => {
      if (contexts.getStore()?.event?.offset === event.offset && contexts.getStore()?.event?.open) right++
      else wrong++
    }
    await run(
      createAgent(deps, 'yielding', topic, async function* (stream) {
        for await (const event of stream.events()) {
          check(event)
          yield 1
          check(event)
          await turn()
          check(event)
          yield 2
          check(event)
        }
      }),
    )
    for (let n = 0; n < 100; n++) {
      await topic.send({ value: n })
      if (n % 7 === 0) await until('idle', () => right + wrong === (n + 1) * 4)
    }
    await until('all seen', () => right + wrong === 400)
    expect(wrong).toBe(0)
  })

  it('stays with unawaited work of an older event, and is closed', async () => {
    const { deps, createTopic, contexts, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const out = createTopic('out', { value: 'number' })
    const floating: Promise<unknown>[] = []
    const scopes: (CurrentEvent | undefined)[] = []
    await run(
      createAgent(deps, 'floats', topic, async (stream) => {
        for await (const n of stream) {
          scopes.push(contexts.getStore()?.event)
          if (n === 0) {
            floating.push(
              (async () => {
                await until('the next one', () => scopes.length === 2)
                expect(contexts.getStore()?.event).toBe(scopes[0])
                return await out.send({ value: 1 }).catch((error: unknown) => error)
              })(),
            )
          }
        }
      }),
    )
    await topic.send({ value: 0 })
    await topic.send({ value: 1 })
    await until('both seen', () => scopes.length === 2)
    expect(await floating[0]).toMatchObject({ code: 'NO_CURRENT_EVENT', message: expect.stringContaining('"out"') })
  })

  it('is undefined before the first event, between events and after the end', async () => {
    const { deps, createTopic, engine, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const out = createTopic('out', { value: 'number' })
    const codes: unknown[] = []
    const tryIt = async (): Promise<void> => {
      await out.send({ value: 1 }).catch((error: unknown) => codes.push(error))
    }
    await run(
      createAgent(deps, 'between', topic, async (stream) => {
        await tryIt()
        const events = stream.events()[Symbol.asyncIterator]()
        const first = await events.next()
        if (first.done !== true) first.value.ack()
        await tryIt()
        await events.next()
        await tryIt()
      }),
    )
    await topic.send({ value: 0 })
    await until('two refusals', () => codes.length === 2)
    await engine.stop()
    expect(codes).toHaveLength(3)
    for (const error of codes) expect(error).toMatchObject({ code: 'NO_CURRENT_EVENT' })
    expect(engine.records('out')).toEqual([])
  })

  it('is visible in functions of operators, including those of filtered events', async () => {
    const { deps, createTopic, contexts, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const offsets: (number | undefined)[] = []
    const part = await run(
      createAgent(deps, 'operators', topic, async (stream) => {
        const shaped = stream
          .tap(() => void offsets.push(contexts.getStore()?.event?.offset))
          .filter(async (n) => {
            await turn()
            offsets.push(contexts.getStore()?.event?.offset)
            return n % 2 === 0
          })
        for await (const _ of shaped) offsets.push(contexts.getStore()?.event?.offset)
      }),
    )
    for (const value of [0, 1, 2]) await topic.send({ value })
    await until('all seen', () => part.counts().operators?.received === 3 && offsets.length === 8)
    expect(offsets).toEqual([0, 0, 0, 1, 1, 2, 2, 2])
  })

  it('is set by event.run under noAck', async () => {
    const { deps, createTopic, engine, contexts, run, until } = streamsForTests()
    const topic = createTopic('numbers', { value: 'number', partitions: 1 })
    const out = createTopic('out', { value: 'number' })
    const held: Event<string | null, number>[] = []
    let outside: unknown = 'unset'
    const part = await run(
      createAgent(deps, 'manual', topic, async (stream) => {
        for await (const event of stream.noAck().events()) {
          outside = contexts.getStore()?.event
          held.push(event)
        }
      }),
    )
    for (const value of [0, 1, 2]) await topic.send({ value })
    await until('all in flight', () => held.length === 3)
    expect(outside).toBeUndefined()
    expect(part.counts().manual).toMatchObject({ active: 3, processed: 0 })
    for (const event of held.reverse()) {
      await event.run(async () => {
        await turn()
        await out.send({ value: event.value })
      })
      event.ack()
    }
    await until('all are sent', () => engine.records('out').length === 3)
    expect(
      engine
        .records('out')
        .map(({ value }) => value?.toString())
        .sort(),
    ).toEqual(['0', '1', '2'])
    expect(part.counts().manual).toMatchObject({ active: 0, processed: 3 })
  })
})
