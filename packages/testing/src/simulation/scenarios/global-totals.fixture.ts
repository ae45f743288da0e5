import { checkCounts, type Scenario } from './scenario.fixture.ts'

/** Two agents add up in the same rows of a global table, so that two events in flight write one key. */
export const globalTotals: Scenario = ({ app, world, entries }) => {
  const totals = app.globalTable('totals', { key: 'string', value: 'number', default: () => 0 })
  const onError = { retry: 1000, backoff: '20ms', maxBackoff: '100ms' } as const
  for (const agent of ['add', 'add-too'])
    app.agent(
      agent,
      entries,
      async (stream) => {
        for await (const { key } of stream) {
          totals.update(key, (total) => total + 1)
          await world.pause()
          if (world.fails(0.06)) throw new Error('a handler that fails now and then')
        }
      },
      { concurrency: 2, onError },
    )
  return ({ run, input }) => {
    const last = new Map<string, number>()
    for (const { key, value } of run.log.records('ledger-totals-global')) last.set(String(key), Number(String(value)))
    checkCounts('totals', {
      counted: (id) => last.get(id),
      // Each entry twice: once for each agent.
      ids: [...input, ...input].map(({ key, cut }) => ({ id: key, cut })),
      mayDouble: run.mayDouble,
    })
  }
}
