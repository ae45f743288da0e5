import { json } from '@millrace/app'
import { checkSent, type Entry, type Scenario } from './scenario.fixture.ts'

interface Large extends Entry {
  readonly filling: string
}

/** Many events in flight at once, each of which sends much of what may wait for the broker: less than `maxEventBytes`. */
export const largeSends: Scenario = ({ app, world, entries }) => {
  const larges = app.topic('larges', { key: 'string', value: json<Large>() })
  app.agent(
    'send-large',
    entries,
    async (stream) => {
      for await (const { key, number } of stream) {
        await world.pause()
        await larges.send({ key, value: { key, number, filling: 'x'.repeat(200) } })
        await world.pause()
      }
    },
    { concurrency: 16, ordering: 'none' },
  )
  return ({ run, input }) => checkSent(larges, { run, expected: input })
}
