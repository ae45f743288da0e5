import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const PARTITIONS = 8
const COUNT = 3000

test('results are exact when a handler counts, sends, and then throws on one event in a hundred', async () => {
  const app = createApp({ id: 'failing', broker: 'memory:' })
  const numbers = app.topic('numbers', { key: 'string', value: 'number', partitions: PARTITIONS })
  const out = app.topic('out', { key: 'string', value: 'number', partitions: PARTITIONS })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0, partitions: PARTITIONS })
  const grouped = app.table('grouped', { key: 'string', value: 'number', default: () => 0, partitions: PARTITIONS })
  const failures = new Map<number, number>()
  const failing = (n: number, times: number): boolean => {
    const failed = failures.get(n) ?? 0
    if (n % 100 !== 0 || failed >= times) return false
    failures.set(n, failed + 1)
    return true
  }
  app.agent(
    'count',
    numbers,
    async (numbers) => {
      for await (const [key, n] of numbers.items()) {
        counts.update(key, (count) => count + 1)
        await out.send({ key, value: n })
        if (failing(n, 1 + (n % 3))) throw new Error(`no ${n}`)
      }
    },
    { concurrency: 4 },
  )
  const groupFailures = new Set<number>()
  app.agent(
    'group',
    numbers,
    async (numbers) => {
      for await (const n of numbers.groupBy((n) => `mod ${n % 13}`)) {
        grouped.update(`mod ${n % 13}`, (count) => count + n)
        if (n % 100 !== 50 || groupFailures.has(n)) continue
        groupFailures.add(n)
        throw new Error(`no ${n}`)
      }
    },
    { concurrency: 4 },
  )
  await using t = await testApp(app)
  await t.worker()
  await t.worker()
  for (let n = 0; n < COUNT; n++) await t.send(numbers, { key: `k${n % 97}`, value: n })
  for (let round = 0; round < 60; round++) await t.clock.advance('1s')
  await t.settle()
  const all = Array.from({ length: COUNT }, (_, n) => n)
  for (let k = 0; k < 97; k++) expect(counts.get(`k${k}`)).toBe(all.filter((n) => n % 97 === k).length)
  for (let m = 0; m < 13; m++)
    expect(grouped.get(`mod ${m}`)).toBe(all.reduce((sum, n) => (n % 13 === m ? sum + n : sum), 0))
  expect(
    t
      .sent(out)
      .map(({ value }) => value)
      .toSorted((a, b) => (a ?? 0) - (b ?? 0)),
  ).toEqual(all)
  expect([...failures.values()].reduce((sum, times) => sum + times, 0)).toBeGreaterThan(30)
  expect(groupFailures.size).toBe(30)
})
