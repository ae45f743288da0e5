import { json } from '@millrace/app'
import { type Entry, idOf, type Scenario } from './scenario.fixture.ts'

const PIECES = 4

interface Piece extends Entry {
  readonly piece: number
  readonly filling: string
}

/**
 * Events that send more than `maxEventBytes`, some of which fail afterwards, beside others that are quickly done: what has
 * gone out of an unfinished event must not be committed with the finished ones.
 */
export const spilling: Scenario = ({ app, world, entries }) => {
  const pieces = app.topic('pieces', { key: 'string', value: json<Piece>() })
  app.agent(
    'spill',
    entries,
    async (stream) => {
      for await (const { key, number } of stream) {
        const count = number % 3 === 0 ? PIECES : 1
        for (let piece = 0; piece < count; piece++) {
          await pieces.send({ key, value: { key, number, piece, filling: 'x'.repeat(count === 1 ? 0 : 150) } })
          await world.pause()
        }
        if (world.fails(0.05)) throw new Error('a handler that fails now and then')
      }
    },
    { concurrency: 3, ordering: 'none', onError: { retry: 1000, backoff: '20ms', maxBackoff: '100ms' } },
  )
  return ({ run, input }) => {
    const seen = new Map<string, number>()
    for (const { value } of run.sent(pieces)) {
      if (value === null) throw new Error('pieces has a tombstone.')
      const id = `${idOf(value)}:${value.piece}`
      seen.set(id, (seen.get(id) ?? 0) + 1)
    }
    for (const entry of input) {
      for (let piece = 0; piece < (entry.number % 3 === 0 ? PIECES : 1); piece++) {
        const times = seen.get(`${idOf(entry)}:${piece}`) ?? 0
        if (times === 0 && !entry.cut) throw new Error(`pieces has lost ${idOf(entry)}:${piece}.`)
        // At least once, what an attempt has sent beyond maxEventBytes is out when the attempt fails.
        if (times > 1 && run.exactlyOnce) throw new Error(`pieces has ${idOf(entry)}:${piece} ${times} times.`)
      }
    }
  }
}
