import { createApp } from '@millrace/app'
import { deferred } from '@millrace/core'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

test('an agent that awaits before its loop is reported once, and a stop does not wait for it', async () => {
  const app = createApp({ id: 'silent' })
  const posts = app.topic('posts', { key: 'string', value: 'string', partitions: 2 })
  const never = deferred<void>()
  const seen: string[] = []
  app.agent(
    'hangs',
    posts,
    async (stream) => {
      await never.promise
      for await (const post of stream) seen.push(post)
    },
    { concurrency: 3 },
  )
  app.agent('groups', posts, async (stream) => {
    const grouped = stream.groupBy((post) => post)
    await never.promise
    for await (const post of grouped) seen.push(post)
  })
  app.agent('reads', posts, async (stream) => {
    for await (const _ of stream);
  })
  const t = await testApp(app)
  await t.clock.advance('29s')
  const told = (): readonly string[] =>
    t.logged.lines.filter(({ message }) => message.includes('has not begun')).map(({ message }) => message)
  expect(told()).toEqual([])
  await t.clock.advance('10m')
  expect(told()).toEqual([
    expect.stringContaining('Agent "hangs" has not begun to read its stream, 30 s'),
    expect.stringContaining('Agent "groups"'),
  ])
  // Under a clock that stands still no limit would pass.
  await t.close()
  // What is left alone does no harm when it goes on after all.
  never.resolve()
  await new Promise((resolve) => setImmediate(resolve))
  expect(seen).toEqual([])
})

test('a handler that fails before its loop, after the stop, is not restarted', async () => {
  const app = createApp({ id: 'late' })
  const posts = app.topic('posts', { key: 'string', value: 'string', partitions: 1 })
  const connected = deferred<void>()
  let starts = 0
  app.agent('connects', posts, async (stream) => {
    starts++
    await connected.promise
    for await (const _ of stream);
  })
  const t = await testApp(app)
  await t.close()
  connected.reject(new Error('no connection'))
  await t.clock.advance('10m')
  expect(starts).toBe(1)
})
