import { json } from '@millrace/app'
import { checkOrder, checkSent, type Entry, type Scenario } from './scenario.fixture.ts'

/** Longer than a rebalance may wait for a worker that stops, and less than that worker waits itself. */
const LONG_MS = 9_000
const isLong = ({ number }: Entry): boolean => number === 2 || number === 5

/** Events that take long, so that a worker that stops may have one in each of its tasks. */
export const longEvents: Scenario = ({ app, world, entries }) => {
  const lengthy = app.topic('lengthy', { key: 'string', value: json<Entry>() })
  app.agent(
    'take-long',
    entries,
    async (stream) => {
      for await (const entry of stream) {
        await (isLong(entry) ? world.work(LONG_MS) : world.pause())
        await lengthy.send({ key: entry.key, value: entry })
      }
    },
    { concurrency: 4 },
  )
  return ({ run, input }) => {
    checkSent(lengthy, { run, expected: input })
    checkOrder(lengthy, run)
  }
}
