import { mkdtempSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandLine } from '@millrace/core'
import { afterAll, expect, test } from 'vitest'
import { App } from './app.ts'
import { createApp } from './create-app.ts'
import { derivedTopics } from './own-topics.ts'

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

  const scope = await client.resetScope()
  expect(scope).toEqual({
    groupId: 'shop',
    topics: ['shop-by-size-size-repartition', 'shop-sums-changelog'],
    storeDirectory: join(directory, 'tables'),
  })
  expect(await client.members()).toHaveLength(1)
  await expect(client.reset(scope)).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY' })
  expect(await client.resetScope()).toEqual(scope)

  await app.stop()
  await client.reset(scope)
  expect(existsSync(join(directory, 'tables'))).toBe(false)
  expect((await client.topics()).map(({ name }) => name)).toContain('orders')
  expect(await client.resetScope()).toMatchObject({ topics: [], storeDirectory: undefined })
  expect(await behind()).toBe(6)
  await client.close()

  await app.start()
  await counted(6)
  await app.stop()
})

test('a reset never names a topic of the app file, nor one of an app with a longer name', () => {
  const app = createApp({ id: 'shop', broker: 'memory:' }, { log: quiet })
  app.topic('shop-sums-changelog', { value: 'string' })
  app.table('sums', { key: 'string', value: 'number' })
  app.globalTable('rates', { key: 'string', value: 'number' })
  app.agent('own', { value: 'number' }, async (stream) => {
    for await (const _ of stream);
  })
  const { definitions } = App.partsOf(app)
  expect(
    derivedTopics('shop', definitions, [
      'shop-sums-changelog',
      'shop-rates-global',
      'shop-own',
      'shop-own-dlq',
      'shop-own-a-repartition',
      'shop-eu-sums-changelog',
      'shop-eu-own-a-repartition',
      'shop-replies',
    ]),
  ).toEqual(['shop-own-a-repartition', 'shop-rates-global', 'shop-replies'])
})
