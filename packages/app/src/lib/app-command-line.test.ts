import { commandLine, json, type CommandLineClient } from '@millrace/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createApp } from './create-app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

describe('the command line of an app', () => {
  const app = createApp({ id: 'shop', broker: 'memory:', commitInterval: '20ms' }, { log: quiet })
  const orders = app.topic('orders', { key: 'string', value: json<{ total: number }>() })
  const totals = app.table('totals', { key: 'string', value: 'number', default: () => 0, help: 'customer -> sum' })
  const rates = app.globalTable('rates', { key: 'string', value: 'number' })
  const buyers = app.setTable('buyers', { key: 'string', value: 'number' })
  const sum = app.agent('sum', orders, async (stream) => {
    for await (const [customer, { total }] of stream.items()) {
      totals.update(customer, (before) => before + total)
      rates.set(customer, total)
      buyers.add(customer, total)
    }
  })
  app.agent('own', { value: 'number' }, async (stream) => {
    for await (const _ of stream);
  })
  const line = app[commandLine]
  let client: CommandLineClient

  beforeEach(async () => {
    await app.start()
    client = await line.client()
  })
  afterEach(() => app.stop())

  const send = (target: string, key: string | undefined, value: string | null) =>
    client.send(target, { key, value, headers: {}, partition: undefined })
  const counted = async (key: string, total: number): Promise<void> => {
    while (totals.get(key, { committed: true }) !== total) await new Promise((resolve) => setImmediate(resolve))
  }

  it('sends what is typed, encoded and checked as the topic declares, and reads tables back from their changelogs', async () => {
    expect(await send('orders', 'ann', '{"total":5}')).toMatchObject({ topic: 'orders' })
    await send('@sum', 'ann', '{"total":7}')
    await counted('ann', 12)
    expect(await client.readTable('totals', 'ann')).toMatchObject({ found: true, value: 12 })
    expect(await client.readTable('totals', 'bob')).toMatchObject({ found: false, value: undefined })
    expect(await client.readTable('rates', 'ann')).toMatchObject({ found: true, value: 7 })
    expect(await client.readTable('buyers', 'ann')).toMatchObject({ found: true, value: [5, 7] })
    const { rows, more } = await client.readRows('totals', { limit: 10 })
    expect(rows).toEqual([{ key: 'ann', value: 12, partition: expect.any(Number) }])
    expect(more).toBe(false)
  })

  it('stops at the limit of rows', async () => {
    for (const customer of ['a', 'b', 'c']) await send('orders', customer, '{"total":1}')
    for (const customer of ['a', 'b', 'c']) await counted(customer, 1)
    expect(await client.readRows('totals', { limit: 2 })).toMatchObject({ more: true, rows: [{}, {}] })
  })

  it('refuses what is wrong, naming it', async () => {
    await expect(send('orders', 'ann', '{"total":')).rejects.toThrow(/ENCODE_FAILED.*topic "orders"/s)
    await expect(send('@own', undefined, 'seven')).rejects.toThrow(/ENCODE_FAILED.*shop-own/s)
    await expect(send('@summ', 'ann', '{}')).rejects.toThrow(/COMMAND_USAGE.*"summ".*"sum"/s)
    await expect(send('nowhere', 'ann', 'x')).rejects.toThrow(/TOPIC_MISSING.*nowhere/s)
    await expect(client.readTable('total', 'ann')).rejects.toThrow(/COMMAND_USAGE.*"total".*"totals"/s)
  })

  it('describes the app without a broker', () => {
    expect(line.describe()).toMatchObject({
      id: 'shop',
      broker: 'memory:',
      agents: [
        { name: 'sum', topics: ['orders'], concurrency: 1 },
        { name: 'own', topics: ['shop-own'] },
      ],
      tables: [
        { name: 'totals', kind: 'table', changelog: 'shop-totals-changelog', help: 'customer -> sum' },
        { name: 'buyers', kind: 'set' },
        { name: 'rates', kind: 'global' },
      ],
    })
    expect(sum.name).toBe('sum')
  })
})
