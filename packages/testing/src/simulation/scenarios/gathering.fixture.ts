import { json } from '@millrace/app'
import { checkOrder, checkSent, type Entry, type Scenario } from './scenario.fixture.ts'

/** As long as a batch waits for more, in milliseconds: longer than anything else in a run. */
const WITHIN_MS = 240_000

/**
 * Batches that are larger than what may be uncommitted, and wait for very long to fill: at the bound they must go on, or
 * all agents of the topic wait with them.
 */
export const gathering: Scenario = ({ app, world, entries }) => {
  const gathered = app.topic('gathered', { key: 'string', value: json<Entry>() })
  app.agent(
    'gather',
    entries,
    async (stream) => {
      for await (const batch of stream.take(1000, { within: WITHIN_MS })) {
        for (const entry of batch) await gathered.send({ key: entry.key, value: entry })
        await world.pause()
      }
    },
    { concurrency: 2 },
  )
  return ({ run, input }) => {
    checkSent(gathered, { run, expected: input })
    checkOrder(gathered, run)
    // The last batch waits for its time, and once more when a rebalance has put it back. What is before it must not.
    if (run.settledMs < WITHIN_MS * 2.5) return
    throw new Error(`It took ${run.settledMs} ms to come to rest: batches have waited at their bound.`)
  }
}
