import { json } from '@millrace/app'
import { type Entry, idOf, type Scenario } from './scenario.fixture.ts'

/** As many names of this length as have no room beside an offset. */
const AGENTS = 24
const nameOf = (nth: number): string => `reader-${nth}-${'x'.repeat(180)}`

interface Reading extends Entry {
  readonly agent: number
}

/** Many agents with long names on one topic, each somewhere else in it. */
export const manyNames: Scenario = ({ app, world, entries }) => {
  const readings = app.topic('readings', { key: 'string', value: json<Reading>() })
  for (let agent = 0; agent < AGENTS; agent++)
    app.agent(nameOf(agent), entries, async (stream) => {
      for await (const { key, number } of stream) {
        // Most do not pause, for all of them read all of it.
        if (agent % 4 === 0) await world.pause()
        await readings.send({ key, value: { key, number, agent } })
      }
    })
  return ({ run, input }) => {
    const seen = new Map<string, number>()
    for (const { value } of run.sent(readings)) {
      if (value === null) throw new Error('readings has a tombstone.')
      const id = `${idOf(value)} of reader ${value.agent}`
      seen.set(id, (seen.get(id) ?? 0) + 1)
    }
    for (const entry of input)
      for (let agent = 0; agent < AGENTS; agent++) {
        const id = `${idOf(entry)} of reader ${agent}`
        const times = seen.get(id) ?? 0
        if (times === 0 && !entry.cut) throw new Error(`readings has lost ${id}.`)
        // At least once, what has no room in a commit is handled again, without any fault.
        if (times > 1 && run.exactlyOnce) throw new Error(`readings has ${id} ${times} times.`)
      }
  }
}
