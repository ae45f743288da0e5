import { json } from '@millrace/app'
import { checkSent, type Entry, type Scenario } from './scenario.fixture.ts'

/** Nothing is beyond it in a run: each entry meets all copies of its key. */
const WITHIN = '30d'

/**
 * Entries joined with their copies, which another agent makes in its own time: each entry meets its copy once, whichever comes
 * first, and none is given out as having met none.
 */
export const joining: Scenario = ({ app, world, entries, copies }) => {
  const joined = app.topic('joined', { key: 'string', value: json<Entry>() })
  app.agent(
    'join',
    entries,
    async (stream) => {
      const pairs = stream.join(copies, { within: WITHIN, kind: 'left' }, (entry, copy) => ({ entry, copy }))
      for await (const { entry, copy } of pairs) {
        if (world.fails(0.1)) throw new Error('a join that fails now and then')
        if (copy === undefined) await joined.send({ key: 'alone', value: entry })
        else if (copy.number === entry.number) {
          await world.pause()
          await joined.send({ key: entry.key, value: entry })
        }
      }
    },
    { concurrency: 2, onError: { retry: 1000, backoff: '20ms', maxBackoff: '50ms' } },
  )
  return ({ run, input }) => {
    checkSent(joined, { run, expected: input })
    const alone = run.sent(joined).find(({ key }) => key === 'alone')
    if (alone !== undefined) throw new Error(`joined has ${JSON.stringify(alone.value)} as an entry that met none.`)
  }
}
