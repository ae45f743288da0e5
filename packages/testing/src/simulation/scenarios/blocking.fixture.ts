import { json } from '@millrace/app'
import { checkCounts, checkSent, type Entry, idOf, type Scenario } from './scenario.fixture.ts'

/** An entry whose handler blocks the event loop whenever it is called, before or after it has waited. */
const isPoison = ({ key, number }: Entry): boolean => number === 3 && (key === 'key-2' || key === 'key-5')
/** An entry whose handler blocks it once. */
const isSlow = ({ key, number }: Entry): boolean => number === 1 && (key === 'key-0' || key === 'key-4')

/**
 * Handlers that block the event loop for longer than the session, beside others that wait for something: only what blocks
 * again and again ends as a dead letter.
 */
export const blocking: Scenario = ({ app, world, entries, remembered }) => {
  const computed = app.topic('computed', { key: 'string', value: json<Entry>() })
  const waited = app.topic('waited', { key: 'string', value: json<Entry>() })
  const results = app.table('results', { key: 'string', value: 'number', default: () => 0 })
  app.agent(
    'compute',
    entries,
    async (stream) => {
      for await (const entry of stream) {
        if (entry.key === 'key-5') await world.pause()
        results.update(entry.key, (count) => count + 1)
        if (isPoison(entry)) world.block()
        if (isSlow(entry) && !remembered.has(idOf(entry))) {
          remembered.add(idOf(entry))
          world.block()
        }
        await computed.send({ key: entry.key, value: entry })
      }
    },
    { concurrency: 3, onError: 'deadLetter' },
  )
  app.agent(
    'wait',
    entries,
    async (stream) => {
      for await (const batch of stream.take(2, { within: '50ms' })) {
        for (const _entry of batch) await world.pause()
        for (const entry of batch) await waited.send({ key: entry.key, value: entry })
        await world.pause()
      }
    },
    { concurrency: 3, onError: 'deadLetter' },
  )
  const lettersOf = (agent: string): { name: string; key: typeof entries.key; value: typeof entries.value } => ({
    name: `ledger-${agent}-dlq`,
    key: entries.key,
    value: entries.value,
  })
  return ({ run, input }) => {
    // A process that stands still cannot be blocked as well: what would have blocked it goes on like any other event.
    const sent = new Set(run.sent(computed).flatMap(({ value }) => (value === null ? [] : idOf(value))))
    const fails = (entry: Entry): boolean => isPoison(entry) && !sent.has(idOf(entry))
    const healthy = input.filter((entry) => !fails(entry))
    checkSent(computed, { run, expected: healthy })
    // At least once, one that has gone on may be handled again, and block then.
    const mayFail = input.filter((entry) => isPoison(entry) && !fails(entry) && run.mayDouble)
    const failed = [...input.filter(fails), ...mayFail.map((entry) => ({ ...entry, cut: true }))]
    checkSent(lettersOf('compute'), { run, expected: failed })
    checkSent(waited, { run, expected: input })
    checkSent(lettersOf('wait'), { run, expected: [] })
    checkCounts('results', {
      counted: (id) => results.get(id),
      ids: healthy.map(({ key, cut }) => ({ id: key, cut })),
      mayDouble: run.mayDouble,
    })
  }
}
