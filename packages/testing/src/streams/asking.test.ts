import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const PARTITIONS = 8

test('ask, map and join are answered by the worker that has the key', async () => {
  const app = createApp({ id: 'asks', broker: 'memory:' })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0, partitions: PARTITIONS })
  const count = app.agent(
    'count',
    { key: 'string', value: 'string', partitions: PARTITIONS },
    async function* (words) {
      for await (const word of words) yield counts.update(word, (n) => n + 1)
    },
    { concurrency: 4 },
  )
  const picky = app.agent(
    'picky',
    { key: 'string', value: 'number', partitions: PARTITIONS },
    async function* (numbers) {
      for await (const n of numbers) {
        if (n < 0) throw new Error(`${n} is too small`)
        yield n + 1
      }
    },
    { onError: 'skip' },
  )
  await using t = await testApp(app)
  await t.worker()
  await t.worker()
  expect(await count.ask('a', { key: 'a' })).toBe(1)
  expect(await count.ask('a', { key: 'a' })).toBe(2)
  const words = Array.from({ length: 300 }, (_, n) => `w${n % 30}`)
  const replies = await count.join(words, { keyOf: (word) => word })
  expect(replies).toHaveLength(300)
  for (let w = 0; w < 30; w++) {
    const own = replies.filter((_, index) => index % 30 === w)
    expect(own.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, n) => n + 1))
  }
  const come: number[] = []
  for await (const reply of count.map(words, { keyOf: (word) => word })) come.push(reply)
  expect(come.reduce((sum, n) => sum + n, 0)).toBe(
    30 * Array.from({ length: 10 }, (_, n) => n + 11).reduce((sum, n) => sum + n, 0),
  )
  await expect(picky.ask(-1)).rejects.toMatchObject({
    code: 'ASK_FAILED',
    message: expect.stringContaining('-1 is too small'),
  })
  expect(await picky.ask(1)).toBe(2)
  await t.settle()
  for (let w = 0; w < 30; w++) expect(counts.get(`w${w}`)).toBe(20)
})

test('an agent asks another one, and uses a channel for side work', async () => {
  const app = createApp({ id: 'asking-agents', broker: 'memory:' })
  const notes = app.channel<string>('notes')
  const noted: string[] = []
  const inner = app.agent(
    'inner',
    { key: 'string', value: 'number', partitions: PARTITIONS },
    async function* (numbers) {
      for await (const n of numbers) yield n * 2
    },
  )
  const outer = app.agent(
    'outer',
    { key: 'string', value: 'number', partitions: PARTITIONS },
    async function* (numbers) {
      for await (const n of numbers) {
        await notes.send({ value: `got ${n}` })
        yield (await inner.ask(n, { key: String(n) })) + 1
      }
    },
    { concurrency: 4 },
  )
  app.agent('note', notes, async (notes) => {
    for await (const note of notes) noted.push(note)
  })
  await using t = await testApp(app)
  await t.worker()
  await t.worker()
  const numbers = Array.from({ length: 60 }, (_, n) => n)
  expect(await outer.join(numbers, { keyOf: String })).toEqual(numbers.map((n) => n * 2 + 1))
  await t.settle()
  expect(noted.toSorted()).toEqual(numbers.map((n) => `got ${n}`).toSorted())
})

test("under exactly once an app's first reply belongs to the transaction of its event", async () => {
  const app = createApp({ id: 'replying', broker: 'memory:', processingGuarantee: 'exactly-once' })
  const double = app.agent('double', { value: 'number', partitions: 1 }, async function* (numbers) {
    for await (const n of numbers) yield n * 2
  })
  await using t = await testApp(app)
  const asked = double.ask(21).then((reply) => [reply, t.log.committed('replying').map(({ offset }) => offset)])
  await t.clock.advance('1s')
  // What had been committed in the moment in which the reply was there.
  expect(await asked).toEqual([42, [1]])
})
