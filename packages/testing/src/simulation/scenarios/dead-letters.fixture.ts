import { json } from '@millrace/app'
import { checkCounts, checkOrder, checkSent, type Entry, type Scenario } from './scenario.fixture.ts'

/** Every entry of these numbers fails for good. */
const isPoison = ({ number }: Entry): boolean => number % 4 === 2

/** Handlers that fail for good after their writes and sends: the dead letter is then the event's only effect. */
export const deadLetters: Scenario = ({ app, world, entries }) => {
  const judged = app.topic('judged', { key: 'string', value: json<Entry>() })
  const verdicts = app.table('verdicts', { key: 'string', value: 'number', default: () => 0 })
  app.agent(
    'judge',
    entries,
    async (stream) => {
      for await (const entry of stream) {
        verdicts.update(entry.key, (count) => count + 1)
        await judged.send({ key: entry.key, value: entry })
        await world.pause()
        if (isPoison(entry)) throw new Error('a handler that fails for good')
      }
    },
    { concurrency: 2, onError: { retry: 2, backoff: '20ms' } },
  )
  const letters = { name: 'ledger-judge-dlq', key: entries.key, value: entries.value }
  return ({ run, input }) => {
    const healthy = input.filter((entry) => !isPoison(entry))
    checkSent(judged, { run, expected: healthy })
    checkOrder(judged, run)
    checkSent(letters, { run, expected: input.filter(isPoison) })
    checkCounts('verdicts', {
      counted: (id) => verdicts.get(id),
      ids: healthy.map(({ key, cut }) => ({ id: key, cut })),
      mayDouble: run.mayDouble,
    })
  }
}
