import { setTimeout as sleep } from 'node:timers/promises'
import { createApp } from '@millrace/app'
import { isMillraceError, systemClock, withTimeout } from '@millrace/core'
import { expect, test } from 'vitest'
import { testApp } from './test-app.ts'

test('settling waits for a handler with real work while another one waits for the clock', async () => {
  const app = createApp({ id: 'shop' })
  const input = app.topic('input', { key: 'string', value: 'string', partitions: 4 })
  const done: string[] = []
  app.agent(
    'work',
    input,
    async (stream) => {
      for await (const what of stream) {
        if (what === 'clock') await app.clock.sleep(60_000)
        else await sleep(50)
        done.push(what)
      }
    },
    { concurrency: 4, ordering: 'none' },
  )
  app.agent('other', input, async (stream) => {
    for await (const what of stream) if (what === 'clock') await app.clock.sleep(60_000)
  })
  await using t = await testApp(app)
  await t.send(input, { key: 'a', value: 'clock', partition: 0 })
  for (const partition of [1, 2, 3]) await t.send(input, { key: `b${partition}`, value: 'real', partition })
  await t.settle()
  expect(done).toEqual(['real', 'real', 'real'])
  await t.advance('1m')
  expect(done).toHaveLength(4)
})

test('an open batch, unacked events, and an ask whose reply waits for the clock do not prevent settling', async () => {
  const app = createApp({ id: 'shop' })
  const input = app.topic('input', { key: 'string', value: 'string', partitions: 1 })
  const slow = app.agent('slow', { key: 'string', value: 'string' }, async function* (stream) {
    for await (const value of stream) {
      await app.clock.sleep(1_000)
      yield value
    }
  })
  const done: string[] = []
  app.agent('batches', input, async (stream) => {
    for await (const values of stream.take(3, { within: '1s' })) {
      await app.clock.sleep(60_000)
      done.push(values.join())
    }
  })
  app.agent('asks', input, async (stream) => {
    for await (const value of stream) done.push(await slow.ask(value))
  })
  app.agent('lets-go', input, async (stream) => {
    for await (const event of stream.noAck().events())
      app.clock.schedule(1_000, () => {
        done.push('let go')
        event.ack()
      })
  })
  await using t = await testApp(app)
  for (const value of ['a', 'b', 'c']) await t.send(input, { key: 'k', value })
  await t.settle()
  expect(done).toEqual([])
  await t.advance('2m')
  expect(done.toSorted()).toEqual(['a', 'a,b,c', 'b', 'c', 'let go', 'let go', 'let go'])
})

test('a test that fails while a handler waits for the clock ends with its own error', async () => {
  const app = createApp({ id: 'shop' })
  const input = app.topic('input', { key: 'string', value: 'string', partitions: 1 })
  app.agent('slow', input, async (stream) => {
    for await (const _ of stream) await app.clock.sleep(60_000)
  })
  const failing = async (): Promise<void> => {
    await using t = await testApp(app)
    await t.send(input, { key: 'k', value: 'a' })
    await t.settle()
    throw new Error('of the test')
  }
  await expect(withTimeout(failing(), 5_000, systemClock(), () => new Error('It hangs.'))).rejects.toThrow(
    'of the test',
  )
})

test('work that is interrupted by the end of a worker rejects with the reason', async () => {
  const app = createApp({ id: 'shop', processingGuarantee: 'exactly-once' })
  const input = app.topic('input', { key: 'string', value: 'string', partitions: 1 })
  const echo = app.agent('echo', { key: 'string', value: 'string' }, async function* (stream) {
    for await (const value of stream) {
      await app.clock.sleep(1_000)
      yield value
    }
  })
  app.agent('asks', input, async (stream) => {
    for await (const value of stream) await echo.ask(value)
  })
  await using t = await testApp(app)
  const [first] = t.all
  if (first === undefined) throw new Error('There is no worker.')
  const failure = (work: Promise<unknown>): Promise<unknown> =>
    withTimeout(
      work.then(
        () => undefined,
        (error: unknown) => error,
      ),
      5_000,
      systemClock(),
      () => new Error('It hangs.'),
    )
  const asked = failure(echo.ask('x'))
  await t.settle()
  await t.send(input, { key: 'k', value: 'a' })
  await expect(t.settle()).rejects.toMatchObject({ code: 'AGENT_FAILED', cause: { code: 'ASK_IN_TRANSACTION' } })
  const late = failure(t.within(first, async () => (await input.send({ key: 'k', value: 'b' })).metadata()))
  for (const error of [await asked, await late]) {
    expect(isMillraceError(error, 'CLOSED')).toBe(true)
    expect(error).toMatchObject({
      message: expect.stringMatching(/because the worker has failed: Agent "asks" failed .* under exactly once/),
      cause: { code: 'AGENT_FAILED' },
    })
  }
})
