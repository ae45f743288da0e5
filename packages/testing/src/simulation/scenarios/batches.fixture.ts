import { json } from '@millrace/app'
import { checkCounts, checkOrder, checkSent, type Entry, type Scenario } from './scenario.fixture.ts'

/** Batches that fail several times: they come again whole, and no later event of their keys goes before them. */
export const batches: Scenario = ({ app, world, entries }) => {
  const batched = app.topic('batched', { key: 'string', value: json<Entry>() })
  const sums = app.table('batch_sums', { key: 'string', value: 'number', default: () => 0 })
  app.agent(
    'batch',
    entries,
    async (stream) => {
      for await (const batch of stream.take(2, { within: '50ms' })) {
        for (const entry of batch) {
          sums.update(entry.key, (sum) => sum + 1)
          await batched.send({ key: entry.key, value: entry })
        }
        await world.pause()
        if (world.fails(0.4)) throw new Error('a batch that fails several times')
      }
    },
    { concurrency: 2, onError: { retry: 1000, backoff: '20ms', maxBackoff: '50ms' } },
  )
  return ({ run, input }) => {
    checkSent(batched, { run, expected: input })
    checkOrder(batched, run)
    checkCounts('batch_sums', {
      counted: (id) => sums.get(id),
      ids: input.map(({ key, cut }) => ({ id: key, cut })),
      mayDouble: run.mayDouble,
    })
  }
}
