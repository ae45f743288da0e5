import { json } from '@millrace/app'
import { checkCounts, checkSent, type Entry, type Scenario } from './scenario.fixture.ts'

/** Every entry of these numbers sends more than its topic takes, as only the broker finds out. */
const isTooLarge = ({ number }: Entry): boolean => number % 5 === 3

interface Padded extends Entry {
  readonly padding: string
}

/** Sends that the broker refuses after their event has finished: the event comes back as failed, and ends as a dead letter. */
export const refusedSends: Scenario = ({ app, world, entries }) => {
  const config = { 'max.message.bytes': '250' }
  const small = app.topic('small', { key: 'string', value: json<Padded>(), config })
  const sent = app.table('small_sent', { key: 'string', value: 'number', default: () => 0 })
  app.agent(
    'send-small',
    entries,
    async (stream) => {
      for await (const entry of stream) {
        sent.update(entry.key, (count) => count + 1)
        await small.send({ key: entry.key, value: { ...entry, padding: 'x'.repeat(isTooLarge(entry) ? 300 : 0) } })
        await world.pause()
      }
    },
    { concurrency: 2, onError: { retry: 1, backoff: '20ms' } },
  )
  const letters = { name: 'ledger-send-small-dlq', key: entries.key, value: entries.value }
  return ({ run, input }) => {
    const healthy = input.filter((entry) => !isTooLarge(entry))
    checkSent(small, { run, expected: healthy })
    checkSent(letters, { run, expected: input.filter(isTooLarge) })
    checkCounts('small_sent', {
      counted: (id) => sent.get(id),
      ids: healthy.map(({ key, cut }) => ({ id: key, cut })),
      mayDouble: run.mayDouble,
    })
  }
}
