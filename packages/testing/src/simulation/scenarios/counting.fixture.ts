import { json } from '@millrace/app'
import { checkCounts, checkOrder, checkSent, type Entry, type Scenario } from './scenario.fixture.ts'

const GROUPS = 3

/** Tables, two agents on one topic, a groupBy, sends, concurrency, and handlers that fail after their writes and sends. */
export const counting: Scenario = ({ app, world, entries, copies }) => {
  const audits = app.topic('audits', { key: 'string', value: json<Entry>() })
  const grouped = app.topic('grouped', { key: 'string', value: json<Entry>() })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  const groupCounts = app.table('group_counts', { key: 'string', value: 'number', default: () => 0 })
  const onError = { retry: 1000, backoff: '20ms', maxBackoff: '100ms' } as const
  const mayFail = (): void => {
    if (world.fails(0.06)) throw new Error('a handler that fails now and then')
  }
  app.agent(
    'count',
    entries,
    async (stream) => {
      for await (const { key, number } of stream) {
        await world.pause()
        counts.update(key, (count) => count + 1)
        await copies.send({ key, value: { key, number } })
        await world.pause()
        mayFail()
      }
    },
    { concurrency: 4, onError },
  )
  app.agent(
    'audit',
    entries,
    async (stream) => {
      for await (const { key, number } of stream) {
        await audits.send({ key, value: { key, number } })
        mayFail()
      }
    },
    { concurrency: 2, onError },
  )
  app.agent(
    'group',
    entries,
    async (stream) => {
      const byGroup = stream.groupBy(({ number }) => `group-${number % GROUPS}`, { name: 'by-group' })
      for await (const event of byGroup.events()) {
        groupCounts.update(event.key, (count) => count + 1)
        await world.pause()
        await grouped.send({ key: event.key, value: event.value })
        mayFail()
      }
    },
    { concurrency: 4, onError },
  )
  return ({ run, input }) => {
    for (const topic of [copies, audits, grouped]) checkSent(topic, { run, expected: input })
    for (const topic of [copies, audits]) checkOrder(topic, run)
    const { mayDouble } = run
    checkCounts('counts', {
      counted: (id) => counts.get(id),
      ids: input.map(({ key, cut }) => ({ id: key, cut })),
      mayDouble,
    })
    checkCounts('group_counts', {
      counted: (id) => groupCounts.get(id),
      ids: input.map(({ number, cut }) => ({ id: `group-${number % GROUPS}`, cut })),
      mayDouble,
    })
  }
}
