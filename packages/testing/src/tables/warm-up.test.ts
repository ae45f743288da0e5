import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

test('a second worker warms up copies of large tables before it takes its share of tasks', async () => {
  const app = createApp({ id: 'shop', topicPartitions: 4, acceptableRecoveryLag: 100 })
  const visits = app.topic('visits', { key: 'string', value: 'number' })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  app.agent('count', visits, async (stream) => {
    for await (const [key] of stream.items()) counts.update(key, (count) => count + 1)
  })
  await using t = await testApp(app)
  const [one] = t.all
  for (let i = 0; i < 2000; i++) await t.send(visits, { key: `k${i}`, value: i })
  await t.settle()
  await t.advance('2s')
  const two = await t.worker()
  await t.settle()
  expect([one, two].map((each) => each?.worker.assignment().tasks.length)).toEqual([2, 2])
  // Its rows came as copies: nothing of them was read while the tasks stood still.
  expect(two.worker.stats().states['counts']).toMatchObject({ standbys: [], recovery: { restoredRows: 0 } })
  expect(counts.get('k1')).toBe(1)
})
