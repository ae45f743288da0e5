import { createApp } from '@millrace/app'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

const keyText = fc
  .array(fc.constantFrom('a', 'b', 'é', '/', '\u{10ffff}'), { maxLength: 3 })
  .map((parts) => parts.join(''))

test('ranges and prefixes over all partitions are sorted, both before and after rows are stored', async () => {
  const app = createApp({ id: 'ranges', commitInterval: '1h' })
  const words = app.topic('words', { key: 'string', value: 'number', partitions: 3 })
  const table = app.table('words', { key: 'string', value: 'number' })
  const expiring = app.table('expiring', { key: 'string', value: 'number', ttl: '1h' })
  app.agent('write', words, async (stream) => {
    for await (const { key, value } of stream.events())
      for (const each of [table, expiring]) {
        if (value < 0) each.delete(key)
        else each.set(key, value)
      }
  })
  await using t = await testApp(app)
  const model = new Map<string, number>()
  const write = async (key: string, value: number): Promise<void> => {
    await t.send(words, { key, value })
    if (value < 0) model.delete(key)
    else model.set(key, value)
  }
  const bytes = (text: string): string => Buffer.from(text).toString('latin1')
  const check = async (): Promise<void> => {
    const sorted = [...model].toSorted(([a], [b]) => (bytes(a) < bytes(b) ? -1 : 1))
    await fc.assert(
      fc.asyncProperty(
        fc.option(keyText),
        fc.option(keyText),
        keyText,
        fc.boolean(),
        fc.option(fc.nat({ max: 12 })),
        async (from, to, prefix, reverse, most) => {
          const span = { ...(from === null ? {} : { from }), ...(to === null ? {} : { to }) }
          const limit = most ?? Infinity
          const inside = sorted.filter(
            ([key]) => (from === null || bytes(key) >= bytes(from)) && (to === null || bytes(key) < bytes(to)),
          )
          const wanted = (rows: readonly (readonly [string, number])[]) =>
            (reverse ? rows.toReversed() : rows).slice(0, limit)
          for (const each of [table, expiring]) {
            expect(await all(each.range({ ...span, reverse, limit }))).toEqual(wanted(inside))
            const begins = sorted.filter(([key]) => key.startsWith(prefix))
            expect(await all(each.prefix(prefix, { reverse, limit }))).toEqual(wanted(begins))
          }
        },
      ),
      { numRuns: 40 },
    )
  }
  const keys = fc.sample(fc.uniqueArray(keyText, { minLength: 40, maxLength: 60 }), { seed: 7, numRuns: 1 })[0] ?? []
  for (const [n, key] of keys.entries()) await write(key, n)
  await t.settle()
  await check()
  await t.advance('1h')
  expiring.stats()
  for (const [n, key] of keys.entries()) await write(key, n % 3 === 0 ? -1 : n + 100)
  await t.settle()
  await check()
})

test('an event reads its own changes in a range', async () => {
  const app = createApp({ id: 'own' })
  const words = app.topic('words', { key: 'string', value: 'number', partitions: 1 })
  const table = app.table('words', { key: 'string', value: 'number' })
  const seen: unknown[] = []
  app.agent('write', words, async (stream) => {
    for await (const { key, value } of stream.events()) {
      table.set(key, value)
      seen.push(await all(table.range({ from: 'b', reverse: true })))
    }
  })
  await using t = await testApp(app)
  for (const [n, key] of ['a', 'b', 'c'].entries()) await t.send(words, { key, value: n })
  await t.settle()
  expect(seen).toEqual([
    [],
    [['b', 1]],
    [
      ['c', 2],
      ['b', 1],
    ],
  ])
})

test('a range over keys without an order is refused', async () => {
  const app = createApp({ id: 'unordered' })
  const topic = app.topic('in', { key: 'number', value: 'number', partitions: 1 })
  const numbers = app.table('numbers', { key: 'number', value: 'number' })
  const texts = app.table('texts', { key: 'string', value: 'number' })
  app.agent('write', topic, async (stream) => {
    for await (const { key, value } of stream.events()) numbers.set(key, value)
  })
  await using _t = await testApp(app)
  expect(() => numbers.range({ from: 9, to: 10 })).toThrow('RANGE_UNORDERED')
  expect(() => numbers.prefix('1')).toThrow('RANGE_UNORDERED')
  expect(() => texts.range({ limit: -1 })).toThrow('limit of a range')
  // @ts-expect-error: no such option
  expect(() => texts.range({ until: 'b' })).toThrow('until')
})

test('a page of a range has rows from all workers', async () => {
  const app = createApp({ id: 'pages' })
  const words = app.topic('words', { key: 'string', value: 'number', partitions: 3 })
  const table = app.table('words', { key: 'string', value: 'number' })
  app.table('lengths', { key: 'number', value: 'number' })
  app.agent('write', words, async (stream) => {
    for await (const { key, value } of stream.events()) table.set(key, value)
  })
  await using t = await testApp(app)
  await t.worker()
  for (const [n, key] of ['b2', 'a1', 'b1', 'c', 'b3'].entries()) await t.send(words, { key, value: n })
  await t.settle()
  const page = async (query: string): Promise<unknown> => (await t.fetch(`/table/words/?${query}`)).json()
  const row = (key: string, value: number) => ({ key, value })
  expect(await page('prefix=b&limit=2')).toEqual({ rows: [row('b1', 2), row('b2', 0)], cursor: 'b2' })
  expect(await page('prefix=b&limit=2&cursor=b2')).toEqual({ rows: [row('b3', 4)] })
  expect(await page('from=b2&reverse=1&partial=1')).toEqual({
    rows: [row('c', 3), row('b3', 4), row('b2', 0)],
    missing: [],
  })
  const unordered = await t.fetch('/table/lengths/?from=1')
  expect([unordered.status, await unordered.json()]).toEqual([400, { error: expect.stringContaining('not text') }])
})
