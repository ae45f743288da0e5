import { getEventListeners } from 'node:events'
import { deferred, manualClock, MillraceError } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { createAgent } from '../agents/create-agent.ts'
import { createChannel } from '../channels/channel.ts'
import { RefusedReaders } from '../fixtures/refused-readers.fixture.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'

describe('ask', () => {
  it('resolves with the first value that the agent yields for it', async () => {
    const { deps, engine, run } = streamsForTests()
    const double = createAgent(deps, 'double', { value: 'number' }, async function* (numbers) {
      for await (const n of numbers) {
        yield n * 2
        yield 'ignored'
      }
    })
    await run(double)
    expect(await double.ask(21)).toBe(42)
    expect(await double.ask(1, { key: 'k' })).toBe(2)
    expect(engine.records('app-double')[0]?.headers.map(([name]) => name)).toEqual([
      'millrace-reply-topic',
      'millrace-reply-partition',
      'millrace-correlation-id',
      'millrace-reply-agent',
    ])
    await engine.stop()
    await expect(double.ask(1)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('yields replies as they arrive, or all of them in order', async () => {
    const { deps, run } = streamsForTests()
    const square = createAgent(
      deps,
      'square',
      { value: 'number' },
      async function* (numbers) {
        for await (const n of numbers) {
          if (n % 5 === 0) await new Promise((resolve) => setImmediate(resolve))
          yield n * n
        }
      },
      { concurrency: 4 },
    )
    await run(square)
    const values = Array.from({ length: 250 }, (_, n) => n)
    expect(await square.join(values, { keyOf: (n) => `k${n}` })).toEqual(values.map((n) => n * n))
    const come: number[] = []
    async function* slowly(): AsyncGenerator<number> {
      for (const value of values) {
        if (value % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
        yield value
      }
    }
    for await (const reply of square.map(slowly())) come.push(reply)
    expect(come.sort((a, b) => a - b)).toEqual(values.map((n) => n * n))
    for await (const reply of square.map(values)) if (reply === 49) break
  })

  it('rejects with the message of an agent that fails permanently, or finishes without a reply', async () => {
    const { deps, engine, run } = streamsForTests()
    const picky = createAgent(
      deps,
      'picky',
      { value: 'number' },
      async function* (numbers) {
        for await (const n of numbers.filter((n) => n !== 0)) {
          if (n < 0) {
            yield 'a reply that does not count'
            throw new Error(`${n} is negative`)
          }
          if (n < 10) yield 'small'
        }
      },
      { onError: { retry: 1, backoff: 1, then: 'skip' } },
    )
    await run(picky)
    await expect(engine.during(picky.ask(-1))).rejects.toMatchObject({
      code: 'ASK_FAILED',
      message: '-1 is negative',
      agent: 'picky',
      reason: 'Error',
    })
    const large = picky.ask(100)
    await expect(large).rejects.toMatchObject({
      code: 'ASK_FAILED',
      message: 'Agent "picky" finished the event without yielding a reply.',
    })
    await expect(picky.ask(0)).rejects.toMatchObject({ code: 'ASK_FAILED' })
    expect(await picky.ask(1)).toBe('small')
    await expect(engine.during(picky.join([1, -2, 3]))).rejects.toMatchObject({
      message: expect.stringContaining('-2 is negative'),
    })
    expect(engine.failure).toBeUndefined()
  })

  it('rejects when the worker stops because of the failure', async () => {
    const { deps, engine, run, until } = streamsForTests()
    const bad = createAgent(
      deps,
      'bad',
      { value: 'number' },
      async function* (numbers) {
        for await (const n of numbers) {
          if (n > 0) throw new Error('never again')
          yield n
        }
      },
      { onError: 'stop' },
    )
    await run(bad)
    await expect(bad.ask(1)).rejects.toMatchObject({
      code: 'ASK_FAILED',
      message: expect.stringContaining('never again'),
    })
    await until('the worker fails', () => engine.failure !== undefined)
  })

  it('rejects when no reply arrives in time', async () => {
    const clock = manualClock()
    const { deps, run } = streamsForTests({ clock })
    const silent = createAgent(deps, 'silent', { value: 'number' }, async function* () {
      await new Promise(() => {})
      yield 1
    })
    await run(silent)
    const reply = silent.ask(1, { timeout: '5s' }).catch((error: unknown) => error)
    await clock.advance(5000)
    expect(await reply).toMatchObject({
      code: 'ASK_TIMEOUT',
      message: expect.stringContaining('"silent" did not answer within 5s'),
    })
  })

  it('is sent at once within an event, and not at all under exactly once', async () => {
    for (const exactlyOnce of [false, true]) {
      const { deps, engine, run } = streamsForTests({ settings: { exactlyOnce } })
      const inner = createAgent(deps, 'inner', { value: 'number' }, async function* (numbers) {
        for await (const n of numbers) yield n + 1
      })
      const outer = createAgent(
        deps,
        'outer',
        { value: 'number' },
        async function* (numbers) {
          for await (const n of numbers) yield (await inner.ask(n)) * 10
        },
        { onError: 'skip' },
      )
      await run(inner, outer)
      const reply = await engine.during(outer.ask(1).catch((error: unknown) => error))
      if (exactlyOnce)
        expect(reply).toMatchObject({ code: 'ASK_FAILED', message: expect.stringContaining('under exactly once') })
      else expect(reply).toBe(20)
    }
  })

  it('is answered only by the agent asked, although others read the same topic', async () => {
    const { deps, createTopic, run } = streamsForTests()
    const topic = createTopic('shared', { value: 'number' })
    const agentCalled = (name: string) =>
      createAgent(deps, name, topic, async function* (numbers) {
        for await (const _ of numbers) yield name
      })
    const [first, second] = [agentCalled('first'), agentCalled('second')]
    await run(first, second)
    expect(await second.join([1, 2, 3])).toEqual(['second', 'second', 'second'])
    expect(await first.ask(1)).toBe('first')
  })

  it('survives groupBy and batches', async () => {
    const { deps, run } = streamsForTests()
    const grouped = createAgent(deps, 'grouped', { value: 'number' }, async function* (numbers) {
      for await (const n of numbers.groupBy((n) => `k${n % 3}`)) yield n + 1
    })
    const batched = createAgent(deps, 'batched', { value: 'number', partitions: 1 }, async function* (numbers) {
      for await (const batch of numbers.take(4)) for (const n of batch) yield n + 1
    })
    const summed = createAgent(deps, 'summed', { value: 'number', partitions: 1 }, async function* (numbers) {
      for await (const batch of numbers.take(3)) yield batch.reduce((sum, n) => sum + n, 0)
    })
    await run(grouped, batched, summed)
    expect(await grouped.join([1, 2, 3, 4])).toEqual([2, 3, 4, 5])
    expect(await batched.join([1, 2, 3, 4, 5, 6, 7, 8])).toEqual([2, 3, 4, 5, 6, 7, 8, 9])
    expect(await summed.join([1, 2, 3])).toEqual([6, 6, 6])
  })

  it('fails for every asker of a failed batch, answered or not', async () => {
    const { deps, run } = streamsForTests()
    const batched = createAgent(
      deps,
      'batched',
      { value: 'number', partitions: 1 },
      async function* (numbers) {
        for await (const batch of numbers.take(3)) {
          // Answers of a failed attempt do not count, whether or not the event is the first of its batch.
          yield batch[0]
          yield batch[1]
          throw new Error('the batch is no good')
        }
      },
      { onError: 'skip' },
    )
    await run(batched)
    const replies = await Promise.allSettled([1, 2, 3].map((n) => batched.ask(n)))
    const reasons = replies.map((reply) => (reply.status === 'rejected' ? String(reply.reason.message) : 'answered'))
    expect(reasons).toEqual(Array.from({ length: 3 }, () => 'the batch is no good'))
  })

  it('is rejected when replies can no longer be read, and the next ask opens a new reader', async () => {
    const readers = new RefusedReaders()
    const { deps, engine, run, until } = streamsForTests({ wrap: readers.wrap })
    const held = deferred<void>()
    const handled: number[] = []
    const double = createAgent(deps, 'double', { value: 'number', partitions: 1 }, async function* (numbers) {
      for await (const n of numbers) {
        handled.push(n)
        if (n === 2) await held.promise
        yield n * 2
      }
    })
    await run(double)
    expect(await double.ask(1)).toBe(2)
    const waiting = double.ask(2)
    await until('it is asked', () => handled.length === 2)
    readers.break(new MillraceError('NOT_AUTHORIZED', 'Topic "app-replies" may not be read.'))
    await expect(waiting).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
    held.resolve()
    await until('its reader is closed', () => readers.open === 0)
    expect(await double.ask(3)).toBe(6)
    expect(readers.open).toBe(1)
    expect(engine.failure).toBeUndefined()
    await deps.replies.close(engine.worker.context)
    expect(readers.open).toBe(0)
  })

  it('leaves no reader open if the end of the replies is unavailable, and the next ask tries again', async () => {
    const readers = new RefusedReaders()
    const { deps, run } = streamsForTests({ wrap: readers.wrap })
    const double = createAgent(deps, 'double', { value: 'number' }, async function* (numbers) {
      for await (const n of numbers) yield n * 2
    })
    await run(double)
    readers.offsetsError = new MillraceError('NOT_AUTHORIZED', 'Topic "app-replies" may not be described.')
    await expect(double.ask(1)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
    expect(readers.open).toBe(0)
    readers.offsetsError = undefined
    expect(await double.ask(1)).toBe(2)
  })

  it('watches its event and the worker only while it waits, however it ends', async () => {
    const clock = manualClock()
    const { deps, contexts, engine, run } = streamsForTests({ clock })
    const watched: number[] = []
    const count = (): number => {
      const { signal, draining } = engine.worker.context
      const watched = [signal, draining, contexts.getStore()?.event?.signal]
      return watched.flatMap((each) => (each === undefined ? [] : getEventListeners(each, 'abort'))).length
    }
    const inner = createAgent(
      deps,
      'inner',
      { value: 'number' },
      async function* (numbers) {
        for await (const n of numbers) {
          if (n === 2) throw new Error('It is two.')
          if (n === 3) await new Promise(() => {})
          yield n
        }
      },
      { onError: 'skip', concurrency: 3 },
    )
    const outer = createAgent(deps, 'outer', { value: 'number' }, async function* (numbers) {
      for await (const _ of numbers) {
        const before = count()
        for (const n of [1, 2, 3]) {
          const reply = inner.ask(n, { key: `k${n}`, timeout: '5s' }).catch(() => -1)
          watched.push(count() - before)
          if (n === 3) void clock.advance('5s')
          await reply
          watched.push(count() - before)
        }
        yield 'done'
      }
    })
    await run(inner, outer)
    expect(await outer.ask(0)).toBe('done')
    expect(watched).toEqual([2, 0, 2, 0, 2, 0])
  })

  it('works over channels', async () => {
    const { deps, run } = streamsForTests()
    const channel = createChannel<{ n: number }>(deps, 'numbers')
    const agent = createAgent(
      deps,
      'local',
      channel,
      async function* (messages) {
        for await (const { n } of messages) {
          if (n < 0) throw new Error('negative')
          yield n * 2
        }
      },
      { onError: 'skip', concurrency: 2 },
    )
    await run(agent)
    expect(await agent.join([{ n: 1 }, { n: 2 }])).toEqual([2, 4])
    await expect(agent.ask({ n: -1 })).rejects.toMatchObject({
      code: 'ASK_FAILED',
      message: expect.stringContaining('negative'),
    })
  })
})
