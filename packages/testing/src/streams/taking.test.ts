import { createApp, type App } from '@millrace/app'
import { deferred } from '@millrace/core'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

/** An app with a topic of words and a table of their counts, in one partition. */
function words(id: string, partitions = 1) {
  const app: App = createApp({ id, broker: 'memory:', agent: { backoff: '10ms' } })
  const source = app.topic('words', { key: 'string', value: 'string', partitions })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0, partitions })
  const count = (word: string): number => counts.update(word, (n) => n + 1)
  return { app, source, counts, count }
}

test('an event that needs a row changed by a collected event does not wait until the batch is full', async () => {
  const { app, source, counts, count } = words('same-key')
  const batches: number[][] = []
  app.agent('count', source, async (words) => {
    for await (const batch of words.map(count).take(3)) batches.push(batch)
  })
  await using t = await testApp(app)
  for (const word of ['a', 'a', 'b', 'a', 'c', 'd']) await t.send(source, { key: word, value: word })
  await t.settle()
  expect(batches).toEqual([[1], [2, 1], [3, 1, 1]])
  expect(['a', 'b', 'c', 'd'].map((word) => counts.get(word))).toEqual([3, 1, 1, 1])
})

test('an event of another agent does not wait for such a batch either', async () => {
  const { app, source, counts, count } = words('two-agents')
  const batches: string[][] = []
  app.agent('gather', source, async (words) => {
    const counted = words.map(async (word) => (await Promise.resolve(), count(word), word))
    for await (const batch of counted.take(10)) batches.push(batch)
  })
  app.agent('count', source, async (words) => {
    for await (const word of words) count(word)
  })
  await using t = await testApp(app)
  for (const word of ['a', 'b', 'a']) await t.send(source, { key: word, value: word })
  // What was gathered last may still wait for more, and then holds only its own key.
  await t.send(source, { key: 'z', value: 'z' })
  await t.send(source, { key: 'z', value: 'z' })
  const total = (): number => (counts.get('a') ?? 0) + (counts.get('b') ?? 0)
  await t.settle().catch(() => {})
  expect(total()).toBeGreaterThanOrEqual(5)
  await t.all[0]?.stop()
})

test('tables treat a batch as one event: its events do not conflict with one another', async () => {
  const { app, source, counts, count } = words('one-fate')
  let rounds = 0
  app.agent('count', source, async (words) => {
    const counted = words.map((word) => (count(word), word))
    for await (const batch of counted.take(2)) {
      // The first of the batch stands for it; the second word's count was changed by the second event.
      rounds++
      count(batch[1] ?? '')
    }
  })
  await using t = await testApp(app)
  for (const word of ['a', 'b', 'c', 'd']) await t.send(source, { key: word, value: word })
  await t.settle()
  expect(rounds).toBe(2)
  expect(['a', 'b', 'c', 'd'].map((word) => counts.get(word))).toEqual([1, 2, 1, 2])
})

test('events of a batch that are handled one by one may change the same keys', async () => {
  const { app, source, counts, count } = words('each-by-itself')
  app.agent('count', source, async (words) => {
    for await (const batch of words.events().take(4))
      for (const event of batch) await event.run(() => count(event.value))
  })
  await using t = await testApp(app)
  for (const word of ['a', 'a', 'b', 'a']) await t.send(source, { key: word, value: word })
  await t.settle()
  expect([counts.get('a'), counts.get('b')]).toEqual([3, 1])
})

test('an event whose conflict a step has caught does not join a batch', async () => {
  const { app, source, counts, count } = words('caught')
  const seen: string[] = []
  app.agent('count', source, async (words) => {
    const counted = words.map((word) => {
      try {
        count(word)
      } catch {
        return `${word} of another`
      }
      return word
    })
    for await (const batch of counted.take(2, { within: '1s' })) seen.push(...batch)
  })
  await using t = await testApp(app)
  for (const word of ['a', 'a', 'a']) await t.send(source, { key: word, value: word })
  await t.settle()
  await t.advance('5s')
  expect(seen).toEqual(['a', 'a', 'a'])
  expect(counts.get('a')).toBe(3)
})

test('a failing batch is retried and given up as one; an undecodable event is given up alone', async () => {
  const app = createApp({ id: 'failing-batch', broker: 'memory:', agent: { backoff: '10ms' } })
  const source = app.topic('numbers', { key: 'string', value: 'number', partitions: 1 })
  const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0, partitions: 1 })
  const batches: number[][] = []
  app.agent('add', source, async (numbers) => {
    for await (const batch of numbers.take(3, { within: '1s' })) {
      batches.push(batch)
      sums.update('all', (sum) => sum + batch.reduce((a, b) => a + b, 0))
      if (batch.includes(5)) throw new Error('five')
    }
  })
  await using t = await testApp(app)
  for (const value of [1, 2]) await t.send(source, { key: 'k', value })
  await t.write('numbers', { key: 'k', value: 'no number' })
  for (const value of [3, 4, 5, 6, 7]) await t.send(source, { key: 'k', value })
  await t.settle()
  await t.advance('10s')
  expect(batches).toEqual([[1, 2, 3], ...Array.from({ length: 4 }, () => [4, 5, 6]), [7]])
  expect(sums.get('all')).toBe(1 + 2 + 3 + 7)
  const [given] = await t.deadLetters.list({ newest: 10 })
  expect(given?.letters).toBe(4)
})

test('collected events survive a rebalance: each is handled once, on one of the workers', async () => {
  const PARTITIONS = 4
  const { app, source, counts, count } = words('moved', PARTITIONS)
  const seen: string[] = []
  app.agent(
    'count',
    source,
    async (words) => {
      for await (const batch of words.take(50, { within: '2s' })) {
        seen.push(...batch)
        for (const word of batch) void word
      }
    },
    { concurrency: 3 },
  )
  app.agent('total', source, async (words) => {
    for await (const word of words.map((word) => (count(word), word))) void word
  })
  await using t = await testApp(app)
  const all = Array.from({ length: 60 }, (_, n) => `w${n}`)
  for (const word of all.slice(0, 20)) await t.send(source, { key: word, value: word })
  await t.settle()
  expect(seen).toEqual([])
  const second = await t.worker()
  for (const word of all.slice(20, 40)) await t.send(source, { key: word, value: word })
  await t.settle()
  await second.stop()
  for (const word of all.slice(40)) await t.send(source, { key: word, value: word })
  await t.settle()
  expect(seen).toEqual([])
  await t.advance('3s')
  expect(seen.toSorted()).toEqual(all.toSorted())
  expect(all.every((word) => counts.get(word) === 1)).toBe(true)
})

test('an event that leaves a step during a rebalance does not wait for others', async () => {
  const { app, source } = words('slow-step', 2)
  const seen: string[] = []
  app.agent('slow', source, async (words) => {
    const slowly = words.map(async (word) => {
      await t.all[0]?.worker.context.clock.sleep(100)
      return word
    })
    for await (const batch of slowly.take(10)) seen.push(...batch)
  })
  await using t = await testApp(app)
  await t.send(source, { key: 'a', value: 'a' })
  await t.settle()
  const joining = t.worker()
  await t.advance('400ms')
  await joining
  expect(seen).toEqual(['a'])
})

test.each(['throws', 'returns'] as const)(
  'a batch whose partition is lost under it is dropped when its handler %s, and the worker goes on',
  async (ending) => {
    const { app, source, counts, count } = words('lost-batch')
    const atWork = deferred<void>()
    const lost = deferred<void>()
    let rounds = 0
    app.agent('count', source, async (words) => {
      for await (const batch of words.take(2)) {
        batch.forEach(count)
        if (++rounds > 1) continue
        atWork.resolve()
        await lost.promise
        if (ending === 'throws') throw new Error('a handler that is at work when its partition is lost')
      }
    })
    await using t = await testApp(app)
    await t.worker()
    for (const word of ['a', 'b']) await t.send(source, { key: word, value: word })
    await atWork.promise
    const back = new Promise<void>((resolve) => app.on('partitionsAssigned', () => resolve()))
    t.log.expire()
    await back
    lost.resolve()
    await t.settle()
    expect(['a', 'b'].map((word) => counts.get(word))).toEqual([1, 1])
    expect(rounds).toBe(2)
    const [worker] = t.all
    expect(worker?.worker.stats().agents['count']?.active).toBe(0)
  },
)

test.each([
  { name: 'events', options: { maxUncommitted: 20 }, bytes: 10, concurrency: 1 },
  { name: 'bytes', options: { maxUncommittedBytes: '1mb' as const }, bytes: 100_000, concurrency: 1 },
  { name: 'events among eight instances', options: { maxUncommitted: 20 }, bytes: 10, concurrency: 8 },
])('a batch that a bound on uncommitted $name keeps from filling is handed on', async (given) => {
  const { name: _, options, bytes, concurrency } = given
  const app = createApp({ id: 'bounded', broker: 'memory:', ...options })
  const source = app.topic('words', { key: 'string', value: 'string', partitions: 1 })
  const sizes: number[] = []
  let others = 0
  app.agent(
    'batches',
    source,
    async (words) => {
      for await (const batch of words.take(1000)) sizes.push(batch.length)
    },
    { concurrency },
  )
  app.agent('each', source, async (words) => {
    for await (const _word of words) others++
  })
  await using t = await testApp(app)
  for (let nth = 0; nth < 60; nth++) {
    await t.send(source, { key: `key-${nth}`, value: 'x'.repeat(bytes) })
    // One at a time: a bound holds to within what is handed out at once.
    await until(`event ${nth} at the other agent`, () => others > nth)
  }
  expect(sizes.length).toBeGreaterThan(1)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(20)
})

async function until(what: string, condition: () => boolean): Promise<void> {
  const limitMs = performance.now() + 5000
  while (!condition()) {
    if (performance.now() > limitMs) throw new Error(`Not in time: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
