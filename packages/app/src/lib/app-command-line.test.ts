import { json } from '@millrace/core'
import { commandLine, type CommandLineClient, type RecordsRequest, type ShownRecord } from '@millrace/core/operations'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createApp, runtimeOf } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

describe('the command line of an app', () => {
  const app = createApp(
    { id: 'shop', broker: 'memory:', commitInterval: '20ms', web: { enabled: false } },
    { log: quiet },
  )
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

  it('sends typed text, encoded and checked as the topic declares, and reads tables back from their changelogs', async () => {
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
    const keysOf = async (range: Partial<Parameters<typeof client.readRows>[1]>): Promise<unknown> => {
      const found = await client.readRows('totals', { limit: 10, ...range })
      return [found.rows.map(({ key }) => key), found.more]
    }
    const all = await client.readRows('totals', { limit: 10 })
    const sorted = all.rows.map(({ key }) => String(key)).toSorted()
    expect(await keysOf({ prefix: '' })).toEqual([sorted, false])
    expect(await keysOf({ from: sorted[1], limit: 1 })).toEqual([sorted.slice(1, 2), sorted.length > 2])
    expect(await keysOf({ to: sorted[1] })).toEqual([sorted.slice(0, 1), false])
  })

  const read = async (topic: string, request: Partial<RecordsRequest> = {}): Promise<readonly ShownRecord[]> => {
    const records: ShownRecord[] = []
    for await (const record of client.records(topic, { from: 'beginning', follow: false, ...request }))
      records.push(record)
    return records
  }

  it('reads a topic’s records as declared, from the given start, and only those of a key', async () => {
    const before = await read('orders')
    await send('orders', 'eve', '{"total":1}')
    const { partition, offset } = await send('orders', 'eve', '{"total":2}')
    expect(await read('orders', { from: { last: 1 }, partition })).toMatchObject([{ offset }])
    await send('orders', 'joe', '{"total":3}')
    expect(await read('orders')).toHaveLength(before.length + 3)
    expect(await read('orders', { key: 'eve' })).toMatchObject([
      { topic: 'orders', partition, key: { as: 'string', value: 'eve' }, value: { as: 'json', value: { total: 1 } } },
      { offset, value: { value: { total: 2 } } },
    ])
    expect(await read('orders', { from: { offset }, partition, key: 'eve' })).toMatchObject([{ offset }])
    expect(await read('orders', { from: 'end' })).toEqual([])
    expect(await read('orders', { from: { offset: 1_000_000 } })).toEqual([])
    expect(await read('orders', { from: { timestampMs: Date.now() + 60_000 } })).toEqual([])
  })

  it('continues with later records until its signal aborts', async () => {
    const abort = new AbortController()
    const records = client.records('orders', { from: 'end', follow: true, key: 'zoe', signal: abort.signal })
    const iterator = records[Symbol.asyncIterator]()
    const first = iterator.next()
    // The end is determined at an unknown moment, so send until a record is seen.
    let seen = false
    void first.then(() => (seen = true))
    while (!seen) await send('orders', 'zoe', '{"total":9}')
    expect((await first).value).toMatchObject({ topic: 'orders', value: { as: 'json', value: { total: 9 } } })
    abort.abort(new Error('enough'))
    await expect(
      (async () => {
        for (;;) await iterator.next()
      })(),
    ).rejects.toThrow('enough')
  })

  it('shows a topic that the app does not declare as text or hex', async () => {
    const admin = (await runtimeOf(app).client.connect()).admin
    await admin.createTopics([{ name: 'foreign', partitions: 1, replicationFactor: -1, config: {} }])
    await send('foreign', 'k', 'plain text')
    await send('foreign', 'k', '\u0000\u0001')
    expect(await read('foreign')).toMatchObject([
      { key: { as: 'text', value: 'k' }, value: { as: 'text', value: 'plain text' } },
      { value: { as: 'hex', value: '0001' } },
    ])
  })

  it('suggests the nearest name for a missing topic', async () => {
    await expect(read('ordres')).rejects.toThrow(/TOPIC_MISSING.*"ordres".*Did you mean "orders"/s)
    await expect(send('ordres', 'ann', 'x')).rejects.toThrow(/TOPIC_MISSING.*"ordres".*Did you mean "orders"/s)
    await expect(read('orders', { partition: 99 })).rejects.toThrow(/PARTITION_MISSING.*99/s)
  })

  it('refuses wrong usage and names it', async () => {
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
