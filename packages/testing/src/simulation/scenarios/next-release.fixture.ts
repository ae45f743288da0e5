import { checkCounts, type Scenario } from './scenario.fixture.ts'

/** What the second version of the app has beside the first: one more topic and one more table in the tasks that there are. */
export const nextRelease: Scenario = ({ app, world, copies }) => {
  const recounts = app.table('recounts', { key: 'string', value: 'number', default: () => 0 })
  app.agent(
    'recount',
    copies,
    async (stream) => {
      for await (const { key } of stream) {
        recounts.update(key, (count) => count + 1)
        await world.pause()
        if (world.fails(0.06)) throw new Error('a handler that fails now and then')
      }
    },
    { concurrency: 2, onError: { retry: 1000, backoff: '20ms', maxBackoff: '100ms' } },
  )
  return ({ run }) =>
    checkCounts('recounts', {
      counted: (id) => recounts.get(id),
      ids: run.sent(copies).flatMap(({ value }) => (value === null ? [] : [{ id: value.key, cut: false }])),
      mayDouble: run.mayDouble,
    })
}
