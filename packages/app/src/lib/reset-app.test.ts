import { mkdtempSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandLine } from '@millrace/core'
import { afterAll, expect, test } from 'vitest'
import { createApp } from './create-app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const directory = mkdtempSync(join(tmpdir(), 'millrace-reset-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('lag is told while a worker runs; a reset is refused then, and afterwards everything begins anew from the sources', async () => {
  const app = createApp(
    {
      id: 'shop',
      broker: `embedded:${directory}`,
      store: `lmdb:${directory}`,
      commitInterval: '20ms',
      topicPartitions: 2,
      web: false,
    },
    { log: quiet },
  )
  const orders = app.topic('orders', { key: 'string', value: 'number', partitions: 2 })
  const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0 })
  app.agent('sum', orders, async (stream) => {
    for await (const [key, value] of stream.items()) sums.update(key, (before) => before + value)
  })
  app.agent('by-size', orders, async (stream) => {
    for await (const _ of stream.groupBy((value) => String(value), { name: 'size' }));
  })
  const line = app[commandLine]
  const counted = async (sum: number): Promise<void> => {
    while (sums.get('ann', { committed: true }) !== sum) await new Promise((resolve) => setImmediate(resolve))
  }

  await app.start()
  for (const value of [1, 2, 3]) await (await orders.send({ key: 'ann', value })).metadata()
  await counted(6)
  const client = await line.client()
  const behind = async (): Promise<number> => (await client.lag()).reduce((sum, { lag }) => sum + lag, 0)
  while ((await behind()) > 0) await new Promise((resolve) => setImmediate(resolve))
  expect(await client.lag()).toContainEqual(
    expect.objectContaining({ agent: 'sum', topic: 'orders', committed: 3, end: 3, lag: 0 }),
  )
  expect(new Set((await client.lag()).map(({ agent, topic }) => `${agent} ${topic}`))).toEqual(
    new Set(['sum orders', 'by-size orders', 'by-size shop-by-size-size-repartition']),
  )

  const request = { to: 'beginning', inputs: [], intermediates: [], deadLetters: false } as const
  const plan = await client.resetPlan(request)
  expect(plan).toMatchObject({ groupId: 'shop', storeDirectory: join(directory, 'tables'), warnings: [] })
  expect(plan.topics.filter(({ action }) => action !== 'keep')).toEqual([
    { name: 'orders', role: 'source', action: 'rewind', records: 3, offsets: [] },
    { name: 'shop-by-size-size-repartition', role: 'repartition', action: 'delete', records: 3, offsets: [] },
    { name: 'shop-sums-changelog', role: 'changelog', action: 'delete', records: expect.any(Number), offsets: [] },
  ])
  expect(await client.members()).toHaveLength(1)
  await expect(client.reset(plan)).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY' })
  expect(await client.resetPlan(request)).toEqual(plan)

  await app.stop()
  await client.reset(plan)
  expect(existsSync(join(directory, 'tables'))).toBe(false)
  const names = (await client.topics()).map(({ name }) => name)
  expect(names).toContain('orders')
  expect(names).not.toContain('shop-sums-changelog')
  expect(await client.resetPlan(request)).toMatchObject({ storeDirectory: undefined })
  expect(await behind()).toBe(6)
  await client.close()

  await app.start()
  await counted(6)
  await app.stop()
})
