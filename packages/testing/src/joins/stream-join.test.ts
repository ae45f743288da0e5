import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const MINUTE = 60_000

interface Order {
  readonly item: string
}

function shopApp(kind: 'inner' | 'left' | 'outer', guarantee: 'at-least-once' | 'exactly-once' = 'at-least-once') {
  const app = createApp({ id: 'shop', processingGuarantee: guarantee, idleAfter: false })
  const orders = app.topic('orders', { key: 'string', value: 'json', partitions: 2 })
  const payments = app.topic('payments', { key: 'string', value: 'number', partitions: 2 })
  const late = app.topic('late', { key: 'string', value: 'json', partitions: 1 })
  const out = app.topic('out', { key: 'string', value: 'json', partitions: 1 })
  const options = { within: '10m', grace: '1m', kind, late } as const
  app.agent('pay', orders, async (stream) => {
    const items = stream.map((order) => (order as Order).item)
    await items.join(payments, options, (item, amount) => ({ item, amount })).to(out)
  })
  return { app, orders, payments, late, out }
}

test('a left join gives pairs at once, and unmatched values when event time passes span and grace', async () => {
  const { app, orders, payments, out } = shopApp('left')
  await using t = await testApp(app)
  const values = () => t.sent(out).map(({ key, value, timestamp }) => [key, value, timestamp])
  // Both keys are in one partition, whose event time they share.
  await t.send(orders, { key: 'a', value: { item: 'book' }, timestamp: MINUTE })
  await t.send(orders, { key: 'a', value: { item: 'pen' }, timestamp: 20 * MINUTE })
  await t.send(payments, { key: 'a', value: 9, timestamp: 12 * MINUTE })
  await t.settle()
  expect(values()).toEqual([['a', { item: 'pen', amount: 9 }, 12 * MINUTE]])
  await t.send(payments, { key: 'a', value: 1, timestamp: 40 * MINUTE })
  await t.send(orders, { key: 'a', value: { item: 'cup' }, timestamp: 12 * MINUTE })
  await t.settle()
  // Event time is that of the orders, 20 minutes: a minute and eleven are over.
  expect(values().slice(1)).toEqual([
    ['a', { item: 'cup', amount: 9 }, 12 * MINUTE],
    ['a', { item: 'book' }, 12 * MINUTE + 1],
  ])
})

test('a row is deleted when none of its events can match any more', async () => {
  const { app, orders, payments } = shopApp('inner', 'exactly-once')
  await using t = await testApp(app)
  for (let n = 0; n < 5; n++) {
    await t.send(orders, { key: 'a', value: { item: 'x' }, timestamp: n * MINUTE })
    await t.send(payments, { key: 'a', value: n, timestamp: n * MINUTE })
  }
  await t.settle()
  await t.clock.advance('2s')
  await t.send(orders, { key: 'a', value: { item: 'x' }, timestamp: 100 * MINUTE })
  await t.send(payments, { key: 'a', value: 1, timestamp: 100 * MINUTE })
  await t.settle()
  await t.clock.advance('5s')
  const inChangelog = new Map(
    t.log.records('shop-pay-join-changelog').map(({ key, value }) => [key?.toString('latin1'), value]),
  )
  const kept = [...inChangelog].filter(([key, value]) => value !== null && key?.startsWith('\u00ff') !== true)
  expect(kept).toHaveLength(1)
})

test('a late record is not matched; it is counted, sent to the late topic, and the first one is logged', async () => {
  const { app, orders, payments, late, out } = shopApp('outer')
  await using t = await testApp(app)
  await t.send(orders, { key: 'a', value: { item: 'x' }, timestamp: 60 * MINUTE })
  await t.send(payments, { key: 'a', value: 1, timestamp: 60 * MINUTE })
  await t.settle()
  const before = t.sent(out).length
  await t.send(orders, { key: 'a', value: { item: 'old' }, timestamp: 30 * MINUTE })
  await t.send(payments, { key: 'a', value: 5, timestamp: 31 * MINUTE })
  await t.settle()
  expect(t.sent(out)).toHaveLength(before)
  expect(t.sent(late).map(({ value, headers }) => [value, headers])).toEqual([
    [{ item: 'old' }, { 'millrace-late-by': String(19 * MINUTE) }],
    [5, { 'millrace-late-by': String(18 * MINUTE) }],
  ])
  expect(t.logged.lines.filter(({ message }) => message.includes('too late for join()'))).toHaveLength(1)
})

test('a side without records holds event time back, so its first records are not late', async () => {
  const { app, orders, payments, out } = shopApp('left')
  await using t = await testApp(app)
  await t.send(orders, { key: 'a', value: { item: 'book' }, timestamp: MINUTE })
  await t.send(orders, { key: 'a', value: { item: 'pen' }, timestamp: 100 * MINUTE })
  await t.settle()
  await t.clock.advance('5s')
  expect(t.sent(out)).toEqual([])
  await t.send(payments, { key: 'a', value: 9, timestamp: 2 * MINUTE })
  await t.settle()
  expect(t.sent(out).map(({ value }) => value)).toEqual([{ item: 'book', amount: 9 }])
})

test('after a crash, at least once, no pair and no unmatched event is missing, and no event is kept twice', async () => {
  const { app, orders, payments, out } = shopApp('outer')
  await using t = await testApp(app)
  for (let n = 0; n < 12; n++) {
    await t.send(orders, { key: `k${n}`, value: { item: `item ${n}` }, timestamp: n * MINUTE })
    if (n % 3 === 0) await t.send(payments, { key: `k${n}`, value: n, timestamp: n * MINUTE })
    await t.settle()
    // Rows that a commit has sent may be there without its offsets.
    if (n % 4 === 1) {
      for (const worker of t.all) await worker.kill()
      await t.worker()
    }
  }
  for (const key of ['a', 'b', 'c', 'd', 'e']) {
    await t.send(orders, { key, value: { item: key }, timestamp: 500 * MINUTE })
    await t.send(payments, { key, value: 1, timestamp: 500 * MINUTE })
  }
  await t.settle()
  await t.clock.advance('5s')
  const found = new Set(t.sent(out).map(({ value }) => JSON.stringify(value)))
  for (let n = 0; n < 12; n++)
    expect(found).toContain(JSON.stringify(n % 3 === 0 ? { item: `item ${n}`, amount: n } : { item: `item ${n}` }))
})

test('a replay gives the same pairs as live, even if one topic is far longer than the other', async () => {
  const { app, orders, payments, out } = shopApp('left')
  await using t = await testApp(app)
  for (const worker of t.all) await worker.stop()
  for (let n = 0; n < 100; n++)
    await t.send(orders, { key: 'a', value: { item: String(n) }, timestamp: n * 30 * MINUTE })
  for (let n = 0; n < 100; n += 10) await t.send(payments, { key: 'a', value: n, timestamp: n * 30 * MINUTE + 1 })
  await t.worker()
  await t.settle()
  const pairs = t.sent(out).flatMap(({ value }) => ((value as { amount?: number }).amount === undefined ? [] : [value]))
  expect(pairs).toEqual(Array.from({ length: 10 }, (_, n) => ({ item: String(n * 10), amount: n * 10 })))
})

test('an impossible join ends the worker at start, with the reason', async () => {
  const started = async (declare: (app: ReturnType<typeof createApp>) => void): Promise<unknown> => {
    const app = createApp({ id: 'shop' })
    declare(app)
    return await testApp(app).catch((thrown: unknown) => thrown)
  }
  const joining = async (options: object, other: { key: 'string' | 'number' | undefined } = { key: 'string' }) =>
    await started((app) => {
      const left = app.topic('left', { key: 'string', value: 'string', partitions: 2 })
      const right = app.topic('right', { ...(other.key && { key: other.key }), value: 'string', partitions: 2 })
      app.agent('join', left, async (stream) => {
        for await (const _ of stream.join(right as never, options as { within: '1s' }, () => 1));
      })
    })
  for (const [options, why] of [
    [{}, /no span/],
    [{ within: '1m', before: '1m' }, /both within and before/],
    [{ within: 'soon' }, /within.*'soon'/],
    [{ within: '1m', grace: 0.5 }, /grace.*0.5/],
    [{ within: '1m', kind: 'right' }, /kind.*'right'/],
  ] as const)
    expect(await joining(options)).toMatchObject({ code: 'JOIN_INVALID', message: expect.stringMatching(why) })
  expect(await joining({ within: '1m' }, { key: 'number' })).toMatchObject({ code: 'KEY_CODEC_DIFFERS' })
  expect(await joining({ within: '1m' }, { key: undefined })).toMatchObject({
    code: 'DEFINITION_INVALID',
    message: expect.stringContaining('keys are not declared'),
  })
  const counts = await started((app) => {
    const left = app.topic('left', { key: 'string', value: 'string', partitions: 2 })
    const right = app.topic('right', { key: 'string', value: 'string' })
    app.agent('join', left, async (stream) => {
      for await (const _ of stream.join(right, { within: '1m' }, () => 1));
    })
  })
  expect(counts).toMatchObject({ code: 'NOT_COPARTITIONED', message: expect.stringMatching(/left.*2.*right.*8/) })
  const behind = await started((app) => {
    const left = app.topic('left', { key: 'string', value: 'string', partitions: 2 })
    const right = app.topic('right', { key: 'string', value: 'string', partitions: 2 })
    app.agent('join', left, async (stream) => {
      const letters = stream.flatMap((word) => word.split(''))
      for await (const _ of letters.join(right, { within: '1m' }, () => 1));
    })
  })
  expect(behind).toMatchObject({ code: 'DEFINITION_INVALID', message: expect.stringContaining('flatMap()') })
})
