import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

function mergingApp(isMerged: boolean) {
  const app = createApp({ id: 'merging' })
  const topics = ['a', 'b', 'c'].map((name) => app.topic(name, { value: 'string', partitions: 1 }))
  const [a, b, c] = topics
  if (a === undefined || b === undefined || c === undefined) throw new Error('There are three topics.')
  const seen: string[] = []
  app.agent('read', isMerged ? a : [a, b, c], async (stream) => {
    const all = isMerged ? stream.merge(b, c, { ordered: true }) : stream.merge({ ordered: true })
    for await (const value of all) seen.push(value)
  })
  return { app, topics, seen }
}

test.each([
  { isMerged: true, what: 'streams that are merged' },
  { isMerged: false, what: 'the topics of an agent' },
])('$what come in the order of their times', async ({ isMerged }) => {
  const { app, topics, seen } = mergingApp(isMerged)
  await using t = await testApp(app)
  for (const worker of t.all) await worker.stop()
  for (const [nth, topic] of topics.entries())
    for (let at = 0; at < 30; at++)
      await t.send(topic, { value: `${String(at).padStart(2, '0')}${nth}`, timestamp: at })
  await t.worker()
  await t.settle()
  expect(seen).toHaveLength(90)
  expect(seen).toEqual(seen.toSorted())
})

test('a channel cannot be ordered because its messages have no times', async () => {
  const app = createApp({ id: 'merging' })
  const topic = app.topic('a', { value: 'string' })
  app.agent('read', topic, async (stream) => {
    for await (const _ of stream.merge(app.channel<string>('calls'), { ordered: true }));
  })
  await expect(testApp(app)).rejects.toThrow(/DEFINITION_INVALID.*merge\(\) of agent "read".*"calls".*order topics/)
})
