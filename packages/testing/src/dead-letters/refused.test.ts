import { createApp, type App } from '@millrace/app'
import { isMillraceError } from '@millrace/core'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'
import { letters } from './letters.fixture.ts'

type OnError = NonNullable<Parameters<App['agent']>[3]>['onError']

/** Counts numbers and sends as many letters for each; the broker takes fewer for `out` than the app would send. */
function sizes(processingGuarantee: 'at-least-once' | 'exactly-once', onError?: OnError) {
  const app = createApp({ id: 'sizes', processingGuarantee, agent: { backoff: '10ms' } })
  const source = app.topic('in', { key: 'string', value: 'number', partitions: 2 })
  const out = app.topic('out', { value: 'string', partitions: 2, config: { 'max.message.bytes': '5000' } })
  const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0, partitions: 2 })
  const handled: number[] = []
  app.agent(
    'blow-up',
    source,
    async (numbers) => {
      for await (const [key, n] of numbers.items()) {
        handled.push(n)
        sums.update(key, (sum) => sum + n)
        await out.send({ value: 'x'.repeat(n) })
      }
    },
    { ...(onError === undefined ? {} : { onError }) },
  )
  return { app, source, out, sums, handled }
}

const guarantees = ['at-least-once', 'exactly-once'] as const

test.each(guarantees)(
  'a record that only the broker finds too large is a failure of its event: tried again, then a dead letter: %s',
  async (guarantee) => {
    const { app, source, out, sums, handled } = sizes(guarantee)
    await using t = await testApp(app)
    await t.worker()
    for (const n of [10, 20, 9000, 30, 8000, 40]) await t.send(source, { key: 'k', value: n })
    await t.settle()
    await t.advance('10s')
    expect(sums.get('k')).toBe(100)
    expect(handled.filter((n) => n === 9000)).toHaveLength(4)
    expect(handled.filter((n) => n === 8000)).toHaveLength(4)
    const lengths = new Set(t.sent(out).map(({ value }) => value?.length))
    expect([...lengths].toSorted()).toEqual([10, 20, 30, 40])
    if (guarantee === 'exactly-once') expect(t.sent(out)).toHaveLength(4)
    const [given] = await t.deadLetters.list({ newest: 10 })
    expect(given?.letters).toBe(2)
    expect(given?.newest[0]).toMatchObject({ failure: { code: 'RECORD_REFUSED', attempts: 4 } })
    // The events are committed, so none is handled again.
    const before = handled.length
    for (const worker of t.all) await worker.stop()
    await t.worker()
    expect(handled).toHaveLength(before)
  },
)

/** Fails on values with an x; the broker accepts only small dead letters. */
function picky(processingGuarantee: 'at-least-once' | 'exactly-once', limit: string) {
  const app = createApp({ id: 'picky', processingGuarantee, agent: { retries: 1, backoff: '10ms' } })
  const source = app.topic('in', { value: 'string', partitions: 1 })
  app.topic('picky-read-dlq', { value: 'bytes', partitions: 1, config: { 'max.message.bytes': limit } })
  const handled: string[] = []
  app.agent('read', source, async (values) => {
    for await (const value of values) {
      if (value.startsWith('x')) throw new TypeError('no x')
      handled.push(value)
    }
  })
  return { app, source, handled }
}

test.each(guarantees)(
  'a dead letter that the broker finds too large is cut, and tells the first failure: %s',
  async (guarantee) => {
    const { app, source, handled } = picky(guarantee, '20000')
    await using t = await testApp(app)
    await t.worker()
    for (const value of ['1', 'x'.repeat(60_000), '2', 'xs', '3']) await t.send(source, { value })
    await t.settle()
    await t.advance('10s')
    expect([...new Set(handled)]).toEqual(['1', '2', '3'])
    const kept = letters(t, 'picky-read-dlq')
    expect(kept.map(({ value }) => value?.length)).toEqual([16 * 1024, 2])
    expect(kept[0]?.told).toMatchObject({
      'millrace-trimmed': 'value of 60000 bytes',
      'millrace-error-class': 'TypeError',
      'millrace-error-message': 'no x',
    })
    expect(kept[1]?.told['millrace-trimmed']).toBeUndefined()
    expect(t.log.committed('picky')).toMatchObject([{ topic: 'in', offset: 5 }])
  },
)

test.each(guarantees)(
  'one that is refused when it is cut, too, stops the worker and names the topic: %s',
  async (guarantee) => {
    const { app, source } = picky(guarantee, '2000')
    await using t = await testApp(app)
    await t.worker()
    await t.send(source, { value: 'x'.repeat(60_000) })
    await expect(t.settle().then(() => t.advance('10s'))).rejects.toThrow(/RECORD_REFUSED.*picky-read-dlq\/0/s)
    expect(t.log.committed('picky').filter(({ topic, offset }) => topic === 'in' && offset > 0)).toEqual([])
  },
)

test.each(guarantees)("onError decides about it and gets the broker's error: %s", async (guarantee) => {
  const told: unknown[] = []
  const { app, source, sums, handled } = sizes(guarantee, ({ error, event, attempts }) => {
    told.push([isMillraceError(error, 'RECORD_REFUSED') && String(error.cause), event.value, attempts])
    return 'skip'
  })
  await using t = await testApp(app)
  for (const n of [10, 9000, 20]) await t.send(source, { key: 'k', value: n })
  await t.settle()
  await t.advance('5s')
  expect(told).toEqual([[expect.stringMatching(/RECORD_TOO_LARGE.*"out"/), 9000, 0]])
  expect(handled.filter((n) => n === 9000)).toHaveLength(1)
  expect(sums.get('k')).toBe(30)
})

test('a batch is given up as a whole', async () => {
  const app = createApp({ id: 'batches', agent: { retries: 1, backoff: '10ms' } })
  const source = app.topic('in', { value: 'number', partitions: 1 })
  const out = app.topic('out', { value: 'string', partitions: 1, config: { 'max.message.bytes': '5000' } })
  const batches: number[][] = []
  app.agent('sum', source, async (numbers) => {
    for await (const batch of numbers.take(2)) {
      batches.push(batch)
      await out.send({ value: 'x'.repeat(batch.reduce((a, b) => a + b)) })
    }
  })
  await using t = await testApp(app)
  for (const n of [1, 2, 3000, 4000, 5, 6]) await t.send(source, { value: n })
  await t.settle()
  await t.advance('5s')
  expect(batches.filter((batch) => batch[0] === 3000)).toEqual([
    [3000, 4000],
    [3000, 4000],
  ])
  expect(batches.at(-1)).toEqual([5, 6])
  const [given] = await t.deadLetters.list({ newest: 10 })
  expect(given?.letters).toBe(2)
})

test.each(guarantees)(
  'an event that fails each time after it has sent more than maxEventBytes is tried as often as any other, then a dead letter: %s',
  async (processingGuarantee) => {
    const app = createApp({
      id: 'bursts',
      processingGuarantee,
      maxEventBytes: '2kb',
      agent: { retries: 2, backoff: '10ms' },
    })
    const source = app.topic('in', { value: 'number', partitions: 1 })
    const out = app.topic('out', { value: 'string', partitions: 1 })
    const attempts: number[] = []
    app.agent('burst', source, async (numbers) => {
      for await (const n of numbers) {
        for (let sent = 0; sent < 5; sent++) await out.send({ value: `${n} ${'x'.repeat(1000)}` })
        if (n !== 2) continue
        attempts.push(n)
        throw new Error('never two')
      }
    })
    await using t = await testApp(app)
    for (const n of [1, 2, 3]) await t.send(source, { value: n })
    await t.settle()
    await t.advance('10s')
    expect(attempts).toHaveLength(3)
    const [given] = await t.deadLetters.list({ newest: 10 })
    expect(given?.letters).toBe(1)
    expect(given?.newest[0]).toMatchObject({ failure: { message: expect.stringContaining('never two'), attempts: 3 } })
    const numbers = t.sent(out).map(({ value }) => Number(value?.split(' ')[0]))
    if (processingGuarantee === 'exactly-once') expect(numbers).toEqual([1, 1, 1, 1, 1, 3, 3, 3, 3, 3])
    else expect(numbers.filter((n) => n !== 2)).toEqual([1, 1, 1, 1, 1, 3, 3, 3, 3, 3])
  },
)

test.each(guarantees)(
  'a batch whose second event sends what is refused counts its attempts as one, and ends as dead letters: %s',
  async (processingGuarantee) => {
    const app = createApp({ id: 'pairs', processingGuarantee, agent: { backoff: '10ms' } })
    const source = app.topic('in', { key: 'string', value: 'number', partitions: 1 })
    const out = app.topic('out', { value: 'string', partitions: 1, config: { 'max.message.bytes': '5000' } })
    let rounds = 0
    app.agent('pair', source, async (numbers) => {
      for await (const [first, second] of numbers.events().take(2)) {
        rounds++
        if (rounds > 20) throw new Error('It goes round for ever.')
        await first?.run(() => out.send({ value: 'x' }))
        await second?.run(() => out.send({ value: 'x'.repeat(second.value) }))
      }
    })
    await using t = await testApp(app)
    await t.worker()
    for (const n of [10, 9000]) await t.send(source, { key: 'k', value: n })
    await t.settle()
    await t.advance('10s')
    expect(rounds).toBe(4)
    expect(letters(t, 'pairs-pair-dlq').map(({ value }) => value)).toEqual(['10', '9000'])
  },
)

test('a dead letter goes to an existing partition if its topic has fewer than the source', async () => {
  const app = createApp({ id: 'narrow', agent: { retries: 0 } })
  const source = app.topic('in', { key: 'string', value: 'string', partitions: 3 })
  app.topic('narrow-read-dlq', { value: 'bytes', partitions: 1 })
  app.agent('read', source, async (values) => {
    for await (const value of values) throw new TypeError(`no ${value}`)
  })
  await using t = await testApp(app)
  await t.worker()
  for (let n = 0; n < 9; n++) await t.send(source, { key: `k${n}`, value: String(n) })
  await t.settle()
  const kept = letters(t, 'narrow-read-dlq')
  expect(new Set(t.log.records('in').map(({ partition }) => partition)).size).toBe(3)
  expect(kept.map(({ value }) => value).toSorted()).toEqual(Array.from({ length: 9 }, (_, n) => String(n)))
  expect(kept.every(({ partition }) => partition === 0)).toBe(true)
})

test('a decision on an event whose task is reopened for it is executed and reported once', async () => {
  const app = createApp({
    id: 'bursts',
    processingGuarantee: 'exactly-once',
    maxEventBytes: '2kb',
    agent: { retries: 0, backoff: '10ms' },
  })
  const source = app.topic('in', { value: 'number', partitions: 1 })
  const out = app.topic('out', { value: 'string', partitions: 1 })
  app.agent(
    'burst',
    source,
    async (numbers) => {
      for await (const n of numbers) {
        for (let sent = 0; sent < 5; sent++) await out.send({ value: `${n} ${'x'.repeat(1000)}` })
        if (n === 2) throw new Error('never two')
      }
    },
    { onError: 'skip' },
  )
  await using t = await testApp(app)
  for (const n of [1, 2, 3]) await t.send(source, { value: n })
  await t.settle()
  await t.advance('10s')
  expect(t.logged.lines.filter(({ message }) => message.includes('which is skipped'))).toHaveLength(1)
  expect(t.sent(out).map(({ value }) => Number(value?.split(' ')[0]))).toEqual([1, 1, 1, 1, 1, 3, 3, 3, 3, 3])
})
