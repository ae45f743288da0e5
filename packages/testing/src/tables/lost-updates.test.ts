import { createApp, type App, type Topic } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp, type TestApp } from '../index.ts'

const ONE = { partitions: 1 } as const
const NUMBERS = { key: 'string', value: 'number', ...ONE } as const

/** Turns of the event loop in which others get on. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => void setImmediate(resolve))
}

/** Handlers here wait for no clock: `settle` would not wait for them. */
async function until(there: () => boolean): Promise<void> {
  for (let turn = 0; turn < 20_000 && !there(); turn++) await turns(1)
  expect(there()).toBe(true)
}

function done(t: TestApp, agent: string, count: number): () => boolean {
  return () => t.all[0]?.worker.stats().agents[agent]?.processed === count
}

function shop(processingGuarantee: 'at-least-once' | 'exactly-once' = 'at-least-once') {
  const app: App = createApp({ id: 'shop', broker: 'memory:', agent: { backoff: '10ms' }, processingGuarantee })
  return { app, totals: app.table('totals', { ...NUMBERS, default: () => 0 }) }
}

async function sendAll(topic: Topic<string, number>, values: readonly number[]): Promise<void> {
  await Promise.all(values.map((value) => topic.send({ key: `k${value}`, value })))
}

test.each(['at-least-once', 'exactly-once'] as const)(
  'what another agent writes between the read and the write of a row is not lost, %s',
  async (processingGuarantee) => {
    const { app, totals } = shop(processingGuarantee)
    const slow = app.topic('slow', NUMBERS)
    const fast = app.topic('fast', NUMBERS)
    const told = app.topic('told', { value: 'number', ...ONE })
    app.agent('slow', slow, async (amounts) => {
      for await (const amount of amounts) {
        const total = totals.get('all')
        await turns(20)
        totals.set('all', total + amount)
        await told.send({ value: total + amount })
      }
    })
    app.agent('fast', fast, async (amounts) => {
      for await (const amount of amounts) totals.update('all', (total) => total + amount)
    })
    await using t = await testApp(app)
    await t.send(slow, { key: 'a', value: 1 })
    await turns(10)
    await t.send(fast, { key: 'b', value: 100 })
    await until(done(t, 'slow', 1))
    await t.clock.advance('1s')
    expect(totals.get('all')).toBe(101)
    // And what it sent, it sent once.
    expect(t.log.records('told').map(({ value }) => String(value))).toEqual(['101'])
  },
)

test('concurrent events of one agent lose no update of a shared row', async () => {
  const { app, totals } = shop()
  const amounts = app.topic('amounts', NUMBERS)
  let most = 0
  let now = 0
  app.agent(
    'add',
    amounts,
    async (stream) => {
      for await (const amount of stream) {
        most = Math.max(most, ++now)
        const total = totals.get('all')
        await turns(1 + (amount % 5))
        totals.set('all', total + 1)
        now--
      }
    },
    { concurrency: 8 },
  )
  await using t = await testApp(app)
  await sendAll(
    amounts,
    Array.from({ length: 20 }, (_, n) => n),
  )
  await until(done(t, 'add', 20))
  expect(totals.get('all')).toBe(20)
  expect(most).toBeGreaterThan(1)
  expect(t.all[0]?.worker.stats().agents['add']).toMatchObject({ received: 20, processed: 20, failed: 0, active: 0 })
})

test('a send that depends on a row counts as a write', async () => {
  const { app, totals } = shop()
  const asks = app.topic('asks', NUMBERS)
  const writes = app.topic('writes', NUMBERS)
  const answers = app.topic('answers', { value: 'number', ...ONE })
  app.agent('ask', asks, async (stream) => {
    for await (const _ of stream) {
      const total = totals.get('all')
      await turns(20)
      await answers.send({ value: total })
    }
  })
  app.agent('write', writes, async (stream) => {
    for await (const value of stream) totals.set('all', value)
  })
  await using t = await testApp(app)
  await t.send(asks, { key: 'a', value: 0 })
  await turns(10)
  await t.send(writes, { key: 'b', value: 7 })
  await until(done(t, 'ask', 1))
  await t.settle()
  expect(t.log.records('answers').map(({ value }) => String(value))).toEqual(['7'])
})

test('an event that neither writes nor sends is handled once, even if the rows that it read change', async () => {
  const { app, totals } = shop()
  const looks = app.topic('looks', NUMBERS)
  const writes = app.topic('writes', NUMBERS)
  let looked = 0
  app.agent('look', looks, async (stream) => {
    for await (const _ of stream) {
      looked++
      totals.get('all')
      await turns(20)
    }
  })
  app.agent('write', writes, async (stream) => {
    for await (const value of stream) totals.set('all', value)
  })
  await using t = await testApp(app)
  await t.send(looks, { key: 'a', value: 0 })
  await turns(10)
  await t.send(writes, { key: 'b', value: 7 })
  await until(done(t, 'look', 1))
  expect([looked, totals.get('all')]).toEqual([1, 7])
})

test('an error caused by inconsistent reads does not count as a failure of the event', async () => {
  const { app, totals } = shop()
  const checks = app.topic('checks', NUMBERS)
  const moves = app.topic('moves', NUMBERS)
  app.agent(
    'check',
    checks,
    async (stream) => {
      for await (const _ of stream) {
        const left = totals.get('left')
        await turns(20)
        if (left + totals.get('right') !== 0) throw new Error('The books do not balance.')
      }
    },
    { onError: 'stop' },
  )
  app.agent('move', moves, async (stream) => {
    for await (const amount of stream) {
      totals.update('left', (total) => total - amount)
      totals.update('right', (total) => total + amount)
    }
  })
  await using t = await testApp(app)
  await t.send(checks, { key: 'a', value: 0 })
  await turns(10)
  await t.send(moves, { key: 'b', value: 7 })
  await until(done(t, 'check', 1))
  expect(t.all[0]?.worker.stats().agents['check']).toMatchObject({ processed: 1, failed: 0 })
})

test.each(
  ['a row', 'a set', 'a whole table'].flatMap((what) => ['before', 'after'].map((when) => [what, when] as const)),
)(
  'a slow event that reads %s is not kept from its end by fast ones that change it for ever, and wait %s they do',
  async (what, when) => {
    const { app, totals } = shop()
    const slow = app.topic('slow', NUMBERS)
    const fast = app.topic('fast', NUMBERS)
    const seen = app.setTable('seen', { key: 'string', value: 'number', ...ONE })
    let tries = 0
    let changes = 0
    let changesBefore = -1
    app.agent('slow', slow, async (stream) => {
      for await (const _ of stream) {
        tries++
        let sum = 0
        if (what === 'a row') sum = totals.get('all')
        else if (what === 'a set') sum = seen.values('all').length
        else for await (const total of totals.values()) sum += total
        await turns(5)
        totals.set('result', sum)
        changesBefore = changes
      }
    })
    app.agent('fast', fast, async (stream) => {
      for await (const amount of stream) {
        if (when === 'before') await turns(1)
        totals.update('all', (total) => total + 1)
        seen.add('all', amount)
        changes++
        if (when === 'after') await turns(1)
      }
    })
    await using t = await testApp(app)
    await sendAll(
      fast,
      Array.from({ length: 200 }, (_, n) => n),
    )
    await t.send(slow, { key: 'a', value: 1 })
    await until(done(t, 'fast', 200))
    expect(tries).toBeGreaterThan(1)
    expect(tries).toBeLessThan(10)
    expect(changesBefore).toBeLessThan(150)
    expect(totals.get('all')).toBe(200)
    expect(seen.values('all')).toHaveLength(200)
  },
)

test('an event that reads more rows than its task tracks is still handled again when the first of them changes', async () => {
  const { app, totals } = shop()
  const sums = app.topic('sums', NUMBERS)
  const writes = app.topic('writes', NUMBERS)
  app.agent('sum', sums, async (stream) => {
    for await (const rows of stream) {
      let sum = 0
      for (let row = 0; row < rows; row++) sum += totals.get(`row ${row}`)
      await turns(20)
      totals.set('sum', sum)
    }
  })
  app.agent('write', writes, async (stream) => {
    for await (const value of stream) totals.set('row 0', value)
  })
  await using t = await testApp(app)
  await t.send(sums, { key: 'a', value: 200 })
  await turns(10)
  await t.send(writes, { key: 'b', value: 7 })
  await until(done(t, 'sum', 1))
  expect(totals.get('sum')).toBe(7)
})
