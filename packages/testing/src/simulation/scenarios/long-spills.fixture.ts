import { json } from '@millrace/app'
import { checkSent, type Entry, type Scenario } from './scenario.fixture.ts'

/** Longer than `drainTimeout` and a commit, less than a transaction may take. */
const LONG_MS = 12_000
const PIECES = 4

interface Piece extends Entry {
  readonly filling: string
}

/**
 * Events that send more than `maxEventBytes` and then take long: the commit of their task waits for them, and a rebalance
 * may come meanwhile.
 */
export const longSpills: Scenario = ({ app, world, entries }) => {
  const spilled = app.topic('spilled', { key: 'string', value: json<Piece>() })
  const done = app.topic('done', { key: 'string', value: json<Entry>() })
  app.agent(
    'spill-long',
    entries,
    async (stream) => {
      for await (const { key, number } of stream) {
        if (number === 3) {
          for (let piece = 0; piece < PIECES; piece++)
            await spilled.send({ key, value: { key, number, filling: 'x'.repeat(150) } })
          await world.work(LONG_MS)
        }
        await done.send({ key, value: { key, number } })
      }
    },
    { concurrency: 3, ordering: 'none' },
  )
  return ({ run, input }) => {
    checkSent(done, { run, expected: input })
    const pieces = run.sent(spilled).length
    const most = input.filter(({ number }) => number === 3).length * PIECES
    if (pieces > most || (pieces < most && !input.some(({ cut }) => cut)))
      throw new Error(`spilled has ${pieces} pieces, not ${most}.`)
  }
}
