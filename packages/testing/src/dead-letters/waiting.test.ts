import { createApp } from '@millrace/app'
import { describe, expect, it } from 'vitest'
import { testApp } from '../index.ts'
import { letters } from './letters.fixture.ts'

describe('an event that waits for its next attempt', () => {
  it('blocks only its own key if the agent is concurrent', async () => {
    const app = createApp({ id: 'shop' })
    const numbers = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const seen: string[] = []
    app.agent(
      'count',
      numbers,
      async (stream) => {
        for await (const [key, n] of stream.items()) {
          if (key === 'bad' && n === 0) throw new Error('no')
          seen.push(`${key} ${n}`)
        }
      },
      { concurrency: 4, onError: { retry: 2, backoff: '10s', maxBackoff: '10s' } },
    )
    await using t = await testApp(app)
    const keys = ['bad', ...Array.from({ length: 20 }, (_, k) => `k${k}`)]
    for (let n = 0; n < 3; n++) for (const key of keys) await t.send(numbers, { key, value: n })
    await t.settle()
    // All others, the three other instances' and those of its own.
    expect(seen).toHaveLength(60)
    expect(seen.filter((text) => text.startsWith('bad'))).toEqual([])
    await t.clock.advance('1m')
    expect(seen.slice(60)).toEqual(['bad 1', 'bad 2'])
    expect(letters(t, 'shop-count-dlq')).toMatchObject([{ key: 'bad', value: '0', told: { 'millrace-attempts': '3' } }])
  })

  it("stays out of other events' transactions under exactly once", async () => {
    const app = createApp({ id: 'shop', processingGuarantee: 'exactly-once', commitInterval: '100ms' })
    const numbers = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
    const out = app.topic('out', { key: 'string', value: 'number', partitions: 1 })
    const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
    app.agent(
      'count',
      numbers,
      async (stream) => {
        for await (const [key, n] of stream.items()) {
          counts.update(key, (count) => count + 1)
          await out.send({ key, value: n })
          if (key === 'bad') throw new Error('no')
        }
      },
      { concurrency: 4, onError: { retry: 2, backoff: '5m', maxBackoff: '5m' } },
    )
    await using t = await testApp(app)
    await t.send(numbers, { key: 'bad', value: -1 })
    for (let n = 0; n < 100; n++) await t.send(numbers, { key: `k${n % 10}`, value: n })
    await t.clock.advance('1s')
    // The log holds committed records only.
    expect(t.sent(out)).toHaveLength(100)
    expect(counts.get('k1', { committed: true })).toBe(10)
    const committed = () => t.log.committed('shop').find(({ topic }) => topic === 'numbers')
    expect(committed()?.offset).toBe(0)
    // Longer than any transaction may last.
    await t.clock.advance('3m')
    for (let n = 100; n < 200; n++) await t.send(numbers, { key: `k${n % 10}`, value: n })
    await t.clock.advance('1s')
    expect(t.sent(out)).toHaveLength(200)
    expect(letters(t, 'shop-count-dlq')).toEqual([])
    await t.clock.advance('10m')
    expect(letters(t, 'shop-count-dlq')).toMatchObject([{ key: 'bad', told: { 'millrace-attempts': '3' } }])
    expect(t.sent(out)).toHaveLength(200)
    expect(committed()?.offset).toBe(201)
    expect(counts.get('bad')).toBe(0)
  })
})

it.each(['at-least-once', 'exactly-once'] as const)(
  'a worker that is killed takes no dead letter with it: %s',
  async (processingGuarantee) => {
    const app = createApp({ id: 'shop', processingGuarantee, commitInterval: '1s' })
    const numbers = app.topic('numbers', { key: 'string', value: 'number', partitions: 4 })
    let handled = 0
    app.agent(
      'count',
      numbers,
      async (stream) => {
        for await (const n of stream) {
          handled++
          if (n % 10 === 7) throw new Error(`no ${n}`)
        }
      },
      { concurrency: 2, onError: 'deadLetter' },
    )
    await using t = await testApp(app)
    const wanted: number[] = []
    for (let round = 0; round < 5; round++) {
      const next = await t.worker()
      for (let n = round * 100; n < round * 100 + 100; n++) {
        await t.send(numbers, { key: `k${n % 13}`, value: n })
        if (n % 10 === 7) wanted.push(n)
      }
      await t.settle()
      if (round % 2 === 0) await t.clock.advance('400ms')
      const [first] = t.all
      await first?.kill()
      expect(t.all).toContain(next)
    }
    await t.clock.advance('1m')
    await t.settle()
    const kept = letters(t, 'shop-count-dlq').map(({ value }) => Number(value))
    expect([...new Set(kept)].toSorted((a, b) => a - b)).toEqual(wanted)
    expect(handled).toBeGreaterThan(500)
    if (processingGuarantee === 'exactly-once') expect(kept).toHaveLength(wanted.length)
  },
)

it('each agent that fails on an event keeps a letter, in as many partitions as its largest topic has', async () => {
  const app = createApp({ id: 'shop' })
  const small = app.topic('small', { value: 'number', partitions: 2 })
  const large = app.topic('large', { value: 'number', partitions: 5 })
  const fails = async (stream: AsyncIterable<number>): Promise<void> => {
    for await (const n of stream) throw new Error(`no ${n}`)
  }
  app.agent('one', [small, large], fails, { onError: 'deadLetter' })
  app.agent('two', large, fails, { onError: () => 'deadLetter' })
  app.agent('three', large, fails, { onError: 'skip' })
  await using t = await testApp(app)
  await t.send(large, { value: 1, partition: 4 })
  await t.send(small, { value: 2, partition: 1 })
  await t.settle()
  const place = ({ value, partition }: { value: string | null; partition: number }) => [value, partition]
  expect(letters(t, 'shop-one-dlq').map(place)).toEqual([
    ['2', 1],
    ['1', 4],
  ])
  expect(letters(t, 'shop-two-dlq').map(place)).toEqual([['1', 4]])
  const counts = new Map(t.log.topics().map(({ name, partitions }) => [name, partitions]))
  expect([counts.get('shop-one-dlq'), counts.get('shop-two-dlq'), counts.get('shop-three-dlq')]).toEqual([
    5,
    5,
    undefined,
  ])
})

describe('a record without room for headers', () => {
  const oversized = (bytes: number) => {
    const app = createApp({ id: 'shop', maxRecordBytes: '10kb' })
    const input = app.topic('input', { value: 'string', partitions: 1 })
    app.agent(
      'read',
      input,
      async (stream) => {
        for await (const _ of stream) throw new Error('no '.repeat(5000))
      },
      { onError: 'deadLetter' },
    )
    return { app, value: 'x'.repeat(bytes) }
  }

  it('is kept with a short message and without the stack', async () => {
    const { app, value } = oversized(9_000)
    await using t = await testApp(app)
    await t.write('input', { value })
    await t.settle()
    const [letter] = letters(t, 'shop-read-dlq')
    expect(letter?.value).toBe(value)
    expect(letter?.told).toMatchObject({
      'millrace-error-stack': '',
      'millrace-error-message': expect.stringMatching(/^no /),
    })
  })

  it('is truncated if it is still too large; the letter says so and cannot be replayed', async () => {
    const { app, value } = oversized(20_000)
    await using t = await testApp(app)
    await t.write('input', { value })
    await t.settle()
    const [letter] = letters(t, 'shop-read-dlq')
    expect(letter?.value).toBe('x'.repeat(1024))
    expect(letter?.told).toMatchObject({
      'millrace-trimmed': 'value of 20000 bytes',
      'millrace-error-message': expect.stringMatching(/^no /),
    })
    await t.advance('2s')
    expect(t.log.committed('shop')).toMatchObject([{ topic: 'input', offset: 1 }])
    expect(await t.deadLetters.replay('read', 'all')).toMatchObject({
      replayed: 0,
      refused: { count: 1, first: [{ reason: expect.stringMatching(/too large.*value of 20000 bytes.*input\/0@0/) }] },
    })
  })
})
