import { json } from '@millrace/app'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { Scenario } from './scenario.fixture.ts'

const SIZE_MS = 400
const GAP_MS = 300
const CLOSED = 'closed-windows'

interface Closing {
  readonly of: string
  readonly count: number
}

/**
 * Entries counted by the times at which they were sent, in tumbling windows and in sessions, and sent on when those close;
 * handlers fail now and then. The times of a partition only grow, so no event is late, and what must close follows from the
 * partition alone.
 */
export const windows: Scenario = ({ app, world, entries }) => {
  const closed = app.topic(CLOSED, { key: 'string', value: json<Closing>() })
  const counts = app.table('timed', { key: 'string', value: 'number', default: () => 0 })
  const spans = counts.tumbling(SIZE_MS)
  const sessions = counts.session(GAP_MS, { merge: (a, b) => a + b })
  const onError = { retry: 1000, backoff: '20ms', maxBackoff: '100ms' } as const
  app.agent(
    'count-windows',
    entries,
    async (stream) => {
      for await (const { key } of stream) {
        spans.update(key, (count) => count + 1)
        await world.pause()
        sessions.update(key, (count) => count + 1)
        if (world.fails(0.06)) throw new Error('a handler that fails now and then')
      }
    },
    { concurrency: 3, onError },
  )
  for (const [name, view] of Object.entries({ spans, sessions }))
    app.agent(
      `close-${name}`,
      view.closed,
      async (stream) => {
        for await (const { key, window, value } of stream) {
          await closed.send({ key, value: { of: `${name} ${key} ${window.start}-${window.end}`, count: value } })
          await world.pause()
          if (world.fails(0.06)) throw new Error('a handler that fails now and then')
        }
      },
      { concurrency: 2, onError },
    )
  return ({ run }) => {
    // What was cut may have been counted or not.
    if (run.input.some((record) => run.wasCut(record))) return
    const found = run.sent(closed).flatMap(({ value }) => value ?? [])
    for (const [of, count] of mustClose(run.input.map((record) => ({ ...record, key: String(record.key) })))) {
      const closings = found.filter((closing) => closing.of === of)
      if (closings.length === 0) throw new Error(`${of} has not closed.`)
      if (run.mayDouble) continue
      if (closings.length > 1) throw new Error(`${of} has closed ${closings.length} times.`)
      if (closings[0]?.count !== count) throw new Error(`${of} has closed with ${closings[0]?.count}, not ${count}.`)
    }
    const late = spans.stats().late + sessions.stats().late
    if (late > 0 && !run.mayDouble) throw new Error(`${late} events were late.`)
  }
}

interface Timed {
  readonly partition: number
  readonly key: string
  readonly timestamp: number
}

/** The windows and sessions that the last event of their partition has closed, and how many events are in each. */
function mustClose(records: readonly Timed[]): ReadonlyMap<string, number> {
  const closed = new Map<string, number>()
  // The clock of a run knows parts of milliseconds, windows do not.
  const whole = records.map((record) => ({ ...record, time: Math.floor(record.timestamp) }))
  for (const partition of new Set(records.map((record) => record.partition))) {
    const own = whole.filter((record) => record.partition === partition)
    const last = Math.max(...own.map(({ time }) => time))
    for (const key of new Set(own.map((record) => record.key))) {
      const times = own.filter((record) => record.key === key).map(({ time }) => time)
      times.sort((a, b) => a - b)
      for (const start of new Set(times.map((time) => Math.floor(time / SIZE_MS) * SIZE_MS)))
        if (start + SIZE_MS <= last)
          closed.set(
            `spans ${key} ${start}-${start + SIZE_MS}`,
            times.filter((time) => time >= start && time < start + SIZE_MS).length,
          )
      for (let from = 0; from < times.length;) {
        let to = from
        while ((times[to + 1] ?? Infinity) - (times[to] ?? 0) <= GAP_MS) to++
        if ((times[to] ?? 0) + GAP_MS < last) closed.set(`sessions ${key} ${times[from]}-${times[to]}`, to - from + 1)
        from = to + 1
      }
    }
  }
  return closed
}

/** Whether windows still have to close: no event of a topic shows it. */
export function hasOpenWindows(log: MemoryLog): boolean {
  if (!log.topics().some(({ name }) => name === CLOSED)) return false
  const entries = log.records('entries').map((record) => ({ ...record, key: String(record.key) }))
  const found = new Set(log.records(CLOSED).map(({ value }) => (JSON.parse(String(value)) as Closing).of))
  const first = new Map<number, number>()
  for (const { partition, offset } of log.records('entries'))
    first.set(partition, Math.min(first.get(partition) ?? Infinity, offset))
  // Where the beginning of a partition was cut, its windows may be others.
  if ([...first.values()].some((offset) => offset > 0)) return false
  return [...mustClose(entries).keys()].some((of) => !found.has(of))
}
