import { mkdtempSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Admin } from '@millrace/core/driver'
import { commandLine, type ResetPlan } from '@millrace/core/operations'
import { afterAll, expect, test } from 'vitest'
import { createApp, runtimeOf } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const directory = mkdtempSync(join(tmpdir(), 'millrace-reset-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('lag is shown and a reset refused while a worker runs; after a reset everything is read again from the sources', async () => {
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
    { name: 'orders', role: 'source', action: 'rewind', records: 3, offsets: [], sentBy: [] },
    {
      name: 'shop-by-size-size-repartition',
      role: 'repartition',
      action: 'delete',
      records: 3,
      offsets: [],
      sentBy: [],
    },
    {
      name: 'shop-sums-changelog',
      role: 'changelog',
      action: 'delete',
      records: expect.any(Number),
      offsets: [],
      sentBy: [],
    },
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

test('lag includes topics read by a handler’s steps, and a reset spares the topics of an app with a similar name', async () => {
  const place = mkdtempSync(join(tmpdir(), 'millrace-alike-'))
  const settings = {
    broker: `embedded:${place}`,
    store: 'memory:',
    commitInterval: '20ms',
    topicPartitions: 1,
    web: false,
  } as const
  // Agent `eu` of `shop` and the app `shop-eu` create topics whose names share a prefix.
  const shop = createApp({ id: 'shop', ...settings }, { log: quiet })
  const orders = shop.topic('orders', { value: 'string' })
  const passed = shop.topic('passed', { value: 'string' })
  const extra = shop.topic('extra', { value: 'string' })
  shop.agent('eu', orders, async (stream) => {
    for await (const _ of stream.groupBy((value) => value, { name: 'by' }).merge(extra));
  })
  shop.agent('relay', orders, async (stream) => {
    for await (const _ of stream.through(passed));
  })
  const other = createApp({ id: 'shop-eu', ...settings, repartitionPurgeInterval: 0 }, { log: quiet })
  const theirs = other.topic('theirs', { value: 'string' })
  other.agent('sort', theirs, async (stream) => {
    for await (const _ of stream.groupBy((value) => value, { name: 'size' }));
  })

  const ours = await shop[commandLine].client()
  const listed = async (): Promise<readonly string[]> =>
    (await ours.lag()).map(({ agent, topic, committed, end }) => `${agent} ${topic} ${committed}/${end}`)
  await shop.start()
  await other.start()
  for (const value of ['a', 'b']) {
    await (await orders.send({ value })).metadata()
    await (await theirs.send({ value })).metadata()
  }
  await (await extra.send({ value: 'c' })).metadata()
  await expect
    .poll(listed, { timeout: 10_000 })
    .toEqual(['eu extra 1/1', 'eu orders 2/2', 'eu shop-eu-by-repartition 2/2', 'relay orders 2/2', 'relay passed 2/2'])
  const theirTopic = 'shop-eu-sort-size-repartition'
  const ourTopic = 'shop-eu-by-repartition'
  const admin = async (): Promise<Admin> => (await runtimeOf(shop).client.connect()).admin
  const records = async (topic: string): Promise<number> => {
    const [found] = await (await admin()).offsets([{ topic, partition: 0 }], 'read-committed')
    return found === undefined ? 0 : found.end - found.beginning
  }
  await expect.poll(() => records(theirTopic), { timeout: 10_000 }).toBe(2)
  // The client shares the app's connection and closes with it.
  await shop.stop()
  await other.stop()

  let client = await shop[commandLine].client()
  const plain = { to: 'beginning', inputs: [], intermediates: [], deadLetters: false } as const
  const actions = ({ topics }: ResetPlan): Record<string, string> =>
    Object.fromEntries(topics.map(({ name, action }) => [name, action]))
  expect(actions(await client.resetPlan(plain))).toEqual({
    extra: 'rewind',
    orders: 'rewind',
    passed: 'skip',
    [ourTopic]: 'delete',
    'shop-__scheduler': 'keep',
    'shop-eu-dlq': 'keep',
    'shop-relay-dlq': 'keep',
  })

  // A reset failed half-way: the owner of these topics is no longer known, so nothing is deleted.
  await (await admin()).deleteGroup('shop')
  const open = await client.resetPlan(plain)
  expect(actions(open)).toMatchObject({ [ourTopic]: 'ask', [theirTopic]: 'ask' })
  await expect(client.reset(open)).rejects.toMatchObject({ code: 'COMMAND_USAGE' })
  const told = await client.resetPlan({ ...plain, intermediates: [ourTopic, theirTopic] })
  expect(actions(told)).toMatchObject({ [ourTopic]: 'skip', [theirTopic]: 'skip' })
  await client.reset(told)
  expect([await records(ourTopic), await records(theirTopic)]).toEqual([2, 2])
  await client.close()

  // Skipped records are not read again, and a run restores the knowledge of which topics are the app's.
  await shop.start()
  client = await shop[commandLine].client()
  await expect
    .poll(async () => (await client.lag()).find(({ topic }) => topic === ourTopic), { timeout: 10_000 })
    .toMatchObject({ agent: 'eu', committed: 4, end: 4 })
  await shop.stop()
  client = await shop[commandLine].client()
  const again = await client.resetPlan(plain)
  expect(actions(again)).toMatchObject({ [ourTopic]: 'delete', [theirTopic]: 'skip' })
  await client.reset(again)
  const names = (await client.topics()).map(({ name }) => name)
  expect([names.includes(ourTopic), names.includes(theirTopic)]).toEqual([false, true])
  expect(await records(theirTopic)).toBe(2)
  await client.close()
  rmSync(place, { recursive: true, force: true })
})
