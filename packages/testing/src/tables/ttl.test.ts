import { createApp, json } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const MINUTE = 60_000
const NOW = Date.UTC(2026, 0, 1)

interface Command {
  readonly do: 'add' | 'delete' | 'look'
}

function cartsApp(clock: 'wall' | 'event', exactly = false, commitInterval: '100ms' | '7m' = '100ms') {
  const app = createApp({
    id: 'carts',
    idleAfter: false,
    commitInterval,
    processingGuarantee: exactly ? 'exactly-once' : 'at-least-once',
  })
  const commands = app.topic('commands', { key: 'string', value: json<Command>(), partitions: 1 })
  const carts = app.table('carts', { key: 'string', value: 'number', default: () => 0, ttl: '10m', clock })
  const seen: string[] = []
  app.agent('carts', commands, async (stream) => {
    for await (const { key, value } of stream.events()) {
      if (value.do === 'add') carts.update(key, (n) => n + 1)
      else if (value.do === 'delete') seen.push(`${key} deleted ${carts.delete(key)}`)
      seen.push(`${key} ${carts.get(key)} ${carts.has(key)}`)
    }
  })
  return { app, commands, carts, seen }
}

async function entriesOf(table: { entries(): AsyncIterable<readonly [string, number]> }): Promise<readonly unknown[]> {
  const found: unknown[] = []
  for await (const entry of table.entries()) found.push(entry)
  return found
}

test.each([false, true])(
  'a row is hidden when its time is over, and deleted from store and changelog; exactly once: %s',
  async (exactly) => {
    const { app, commands, carts, seen } = cartsApp('wall', exactly)
    await using t = await testApp(app)
    const send = (key: string, what: Command['do']) => t.send(commands, { key, value: { do: what } })
    await send('a', 'add')
    await send('b', 'add')
    await t.advance('6m')
    await send('a', 'add')
    await t.advance(4 * MINUTE - 1)
    expect(await entriesOf(carts)).toEqual([
      ['a', 2],
      ['b', 1],
    ])
    expect((await t.fetch('/table/carts/b/')).status).toBe(200)
    t.clock.set(t.clock.now() + 1)
    // No timer has run yet: the clock alone hides it.
    expect([carts.get('b'), carts.has('b'), carts.get('a')]).toEqual([0, false, 2])
    expect(await entriesOf(carts)).toEqual([['a', 2]])
    await send('b', 'look')
    await send('b', 'delete')
    await t.settle()
    expect(seen.slice(-3)).toEqual(['b 0 false', 'b deleted false', 'b 0 false'])
    await t.advance('20s')
    await send('b', 'add')
    await t.settle()
    expect(seen.at(-1)).toBe('b 1 true')
    await t.advance('16m')
    for (const worker of t.all) await worker.stop()
    const left = new Map(t.log.records('carts-carts-changelog').map(({ key, value }) => [String(key), value]))
    expect([left.get('a'), left.get('b')]).toEqual([null, null])
    await t.worker()
    expect([carts.size, carts.stats().expired]).toEqual([0, 0])
  },
)

test('expiry checks the cached row: a row that was renewed in time stays', async () => {
  const { app, commands, carts } = cartsApp('wall')
  await using t = await testApp(app)
  const add = () => t.send(commands, { key: 'a', value: { do: 'add' } })
  await add()
  await t.advance('1m')
  // The index and the store know the first time only.
  for (let round = 0; round < 12; round++) {
    await add()
    await t.advance('9m')
  }
  expect(carts.get('a')).toBe(13)
  for (const worker of t.all) await worker.kill()
  await t.worker()
  await t.settle()
  expect(carts.get('a')).toBe(13)
  await t.advance('61s')
  await t.advance('20m')
  expect([carts.size, carts.stats().expired]).toEqual([0, 1])
})

test('expiry checks the cached row if the store has an older one', async () => {
  const { app, commands, carts } = cartsApp('wall', false, '7m')
  await using t = await testApp(app)
  const add = () => t.send(commands, { key: 'a', value: { do: 'add' } })
  await add()
  // A commit is made after 9 min 20 s, the next one after 16 min 20 s.
  await t.advance('570s')
  const { count } = t.all[0]?.worker.stats().commits ?? { count: 0 }
  await add()
  await t.advance('2m')
  expect(carts.get('a')).toBe(2)
  expect(count).toBeGreaterThan(0)
  await t.advance('7m')
  expect(carts.get('a')).toBe(2)
})

test('with event time, rows expire by the times of events, not by the clock', async () => {
  const { app, commands, carts, seen } = cartsApp('event')
  await using t = await testApp(app)
  const send = (key: string, what: Command['do'], minute: number) =>
    t.send(commands, { key, value: { do: what }, timestamp: NOW + minute * MINUTE })
  await send('a', 'add', 0)
  await send('b', 'add', 5)
  await t.advance('1h')
  expect([carts.get('a'), carts.size]).toEqual([1, 2])
  await send('a', 'look', 10)
  await send('b', 'add', 11)
  await t.advance('1s')
  expect(seen.slice(-2)).toEqual(['a 0 false', 'b 2 true'])
  expect(carts.size).toBe(1)
  for (const worker of t.all) await worker.kill()
  await t.worker()
  expect([carts.get('a'), carts.get('b')]).toEqual([0, 2])
  await send('c', 'add', 30)
  await t.advance('1s')
  expect(await entriesOf(carts)).toEqual([['c', 1]])
})

test('rows that were written before the table had a ttl do not expire until they are written again', async () => {
  const before = createApp({ id: 'carts' })
  const topic = before.topic('commands', { key: 'string', value: json<Command>(), partitions: 1 })
  const old = before.table('carts', { key: 'string', value: 'number', default: () => 0 })
  before.agent('carts', topic, async (stream) => {
    for await (const { key } of stream.events()) old.update(key, (n) => n + 1)
  })
  const first = await testApp(before)
  await first.send(topic, { key: 'a', value: { do: 'add' } })
  await first.send(topic, { key: 'b', value: { do: 'add' } })
  await first.advance('1s')
  const rows = first.log.records('carts-carts-changelog')
  await first.close()
  const { app, commands, carts } = cartsApp('wall')
  await using t = await testApp(app)
  for (const worker of t.all) await worker.stop()
  for (const { key, value } of rows) await t.write('carts-carts-changelog', { key, value, partition: 0 })
  await t.worker()
  await t.advance('1h')
  expect([carts.get('a'), carts.get('b')]).toEqual([1, 1])
  await t.send(commands, { key: 'a', value: { do: 'add' } })
  await t.advance('1h')
  expect([carts.get('a'), carts.get('b'), carts.size]).toEqual([0, 1, 1])
})

test('invalid options are refused when the table is declared', () => {
  const app = createApp({ id: 'mistakes' })
  const topic = app.topic('in', { key: 'string', value: 'string' })
  const value = { key: 'string', value: 'string' } as const
  expect(() => app.table('a', { ...value, ttl: 0 })).toThrow('TTL_INVALID')
  expect(() => app.table('b', { ...value, ttl: 'soon' as '1s' })).toThrow('TTL_INVALID')
  expect(() => app.table('c', { ...value, clock: 'wall' })).toThrow('it has none')
  expect(() => app.table('d', { ...value, ttl: '1s', from: topic })).toThrow('TTL_INVALID')
  // @ts-expect-error: no such clock
  expect(() => app.table('e', { ...value, ttl: '1s', clock: 'cpu' })).toThrow('TTL_INVALID')
})
