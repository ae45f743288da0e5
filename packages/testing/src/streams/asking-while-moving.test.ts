import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { type TestApp, testApp } from '../index.ts'

const PARTITIONS = 4

/** `outer` works for a while on each number, then asks `inner` for the double of it. */
function asking(id: string, workMs: number, seen: { t: TestApp | undefined; asked: number; interrupted: number }) {
  const app = createApp({ id, broker: 'memory:', drainTimeout: '20s' })
  const source = app.topic('numbers', { key: 'string', value: 'number', partitions: PARTITIONS })
  const results = app.topic('results', { key: 'string', value: 'number', partitions: PARTITIONS })
  const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0, partitions: PARTITIONS })
  const inner = app.agent(
    'inner',
    { key: 'string', value: 'number', partitions: PARTITIONS },
    async function* (numbers) {
      for await (const n of numbers) yield n * 2
    },
  )
  app.agent(
    'outer',
    source,
    async (numbers) => {
      for await (const [key, n] of numbers.items()) {
        sums.update(key, (sum) => sum + n)
        await seen.t?.all[0]?.worker.context.clock.sleep(workMs)
        seen.asked++
        const double = await inner.ask(n, { key }).catch((error: unknown) => {
          seen.interrupted++
          throw error
        })
        await results.send({ key, value: double })
      }
    },
    { concurrency: 2 },
  )
  return { app, source, results, sums }
}

test('an event that asks while its worker revokes partitions is handed out again at once, and counts once', async () => {
  const seen: { t: TestApp | undefined; asked: number; interrupted: number } = {
    t: undefined,
    asked: 0,
    interrupted: 0,
  }
  const { app, source, results, sums } = asking('moving', 50, seen)
  await using t = await testApp(app)
  seen.t = t
  for (let n = 0; n < 8; n++) await t.send(source, { key: `k${n}`, value: n })
  await t.settle()
  const beganMs = t.clock.monotonic()
  let joinedMs: number | undefined
  const joining = Promise.all([t.worker(), t.worker()]).then(() => (joinedMs = t.clock.monotonic()))
  for (let i = 0; i < 30; i++) await t.advance('100ms')
  await joining
  expect((joinedMs ?? Infinity) - beganMs).toBeLessThan(2500)
  expect(seen.interrupted).toBeGreaterThan(0)
  const values = t.sent(results).map(({ value }) => value)
  expect(values.toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual([0, 2, 4, 6, 8, 10, 12, 14])
  for (let n = 0; n < 8; n++) expect(sums.get(`k${n}`)).toBe(n)
  for (const { worker } of t.all) expect(worker.stats().agents['outer']).toMatchObject({ failed: 0, retried: 0 })
})

test('a worker that stops does not wait for replies that can no longer come', async () => {
  const seen: { t: TestApp | undefined; asked: number; interrupted: number } = {
    t: undefined,
    asked: 0,
    interrupted: 0,
  }
  const { app, source, results } = asking('stopping', 50, seen)
  await using t = await testApp(app)
  seen.t = t
  for (let n = 0; n < 4; n++) await t.send(source, { key: `k${n}`, value: n })
  await t.settle()
  const [first] = t.all
  const stopping = first?.stop()
  await t.advance('600ms')
  await stopping
  expect(seen.interrupted).toBeGreaterThan(0)
  await t.worker()
  await t.advance('1s')
  expect(t.sent(results)).toHaveLength(4)
})
