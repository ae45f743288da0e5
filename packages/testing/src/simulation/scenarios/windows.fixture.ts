import { json } from '@millrace/app'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { Entry, Scenario } from './scenario.fixture.ts'
import { DIFFERENCE_MS, GAP_MS, groupOf, mustClose, SIZE_MS } from './windows-oracle.fixture.ts'

const CLOSED = 'closed-windows'
/** How long the rows of windows that nobody closes are kept. */
const RETENTION_MS = 700

interface Closing {
  readonly of: string
  readonly count: number
}

/**
 * Entries counted by the times at which they were sent, in tumbling and sliding windows, in sessions, and by groups in the
 * windows of a stream; all are sent on when they close, and handlers fail now and then. The times of a partition only grow, so
 * no event is late, and what must close follows from the partitions alone.
 */
export const windows: Scenario = ({ app, world, entries, plant }) => {
  const closed = app.topic(CLOSED, { key: 'string', value: json<Closing>() })
  const lateInGroups = app.topic('late-in-groups', { key: 'string', value: json<Entry>() })
  const counts = app.table('timed', { key: 'string', value: 'number', default: () => 0 })
  const spans = counts.tumbling(SIZE_MS)
  const slides = counts.sliding(DIFFERENCE_MS)
  const sessions = counts.session(GAP_MS, { merge: (a, b) => a + b })
  const kept = counts.tumbling(SIZE_MS, { name: KEPT, retention: RETENTION_MS })
  plant(kept)
  const onError = { retry: 1000, backoff: '20ms', maxBackoff: '100ms' } as const
  const mayFail = (): void => {
    if (world.fails(0.06)) throw new Error('a handler that fails now and then')
  }
  app.agent(
    'count-windows',
    entries,
    async (stream) => {
      for await (const { key } of stream) {
        spans.update(key, (count) => count + 1)
        kept.update(key, (count) => count + 1)
        await world.pause()
        slides.update(key, (count) => count + 1)
        sessions.update(key, (count) => count + 1)
        mayFail()
      }
    },
    { concurrency: 3, onError },
  )
  for (const [name, view] of Object.entries({ spans, slides, sessions }))
    app.agent(
      `close-${name}`,
      view.closed,
      async (stream) => {
        for await (const { key, window, value } of stream) {
          await closed.send({ key, value: { of: `${name} ${key} ${window.start}-${window.end}`, count: value } })
          await world.pause()
          mayFail()
        }
      },
      { concurrency: 2, onError },
    )
  app.agent(
    'count-groups',
    entries,
    async (stream) => {
      const groups = stream.groupBy(({ number }) => groupOf(number), { name: 'windows-by-group' })
      for await (const { key, window, value } of groups
        .tumbling(SIZE_MS, { late: lateInGroups })
        .count()
        .emit('close')) {
        await closed.send({ key, value: { of: `groups ${key} ${window.start}-${window.end}`, count: value } })
        await world.pause()
        mayFail()
      }
    },
    { concurrency: 2, onError },
  )
  return ({ run }) => {
    // What was cut may have been counted or not.
    if (run.input.some((record) => run.wasCut(record))) return
    const expected = mustClose(
      run.input.map((record) => ({ ...record, number: entries.value.decode(record.value ?? Buffer.of()).number })),
    )
    const found = run.sent(closed).flatMap(({ value }) => value ?? [])
    const early = found.find(({ of }) => !expected.has(of))
    if (early !== undefined) throw new Error(`${early.of} has closed with ${early.count}, and should be open.`)
    for (const [of, count] of expected) {
      const closings = found.filter((closing) => closing.of === of)
      if (closings.length === 0) throw new Error(`${of} has not closed.`)
      // At least once, an event may be counted twice, and never less than once.
      const wrong = closings.find((closing) => closing.count < count || (closing.count > count && !run.mayDouble))
      if (wrong !== undefined) throw new Error(`${of} has closed with ${wrong.count}, not ${count}.`)
      if (closings.length > 1 && !run.mayDouble) throw new Error(`${of} has closed ${closings.length} times.`)
    }
    const late =
      [spans, slides, sessions, kept].reduce((sum, view) => sum + view.late, 0) + run.sent(lateInGroups).length
    if (late > 0) throw new Error(`${late} events were late.`)
  }
}

/** Whether windows still have to close: no event of a topic shows it. */
export function hasOpenWindows(log: MemoryLog): boolean {
  if (!log.topics().some(({ name }) => name === CLOSED)) return false
  const entries = log.records('entries').map((record) => ({
    ...record,
    number: (JSON.parse(String(record.value)) as { number: number }).number,
  }))
  const found = new Set(log.records(CLOSED).map(({ value }) => (JSON.parse(String(value)) as Closing).of))
  const first = new Map<number, number>()
  for (const { partition, offset } of entries) first.set(partition, Math.min(first.get(partition) ?? Infinity, offset))
  // Where the beginning of a partition was cut, its windows may be others.
  if ([...first.values()].some((offset) => offset > 0)) return false
  return [...mustClose(entries).keys()].some((of) => !found.has(of))
}

const KEPT = 'kept-windows'

/**
 * Throws when rows of windows are deleted before a commit has brought event time past their retention: a crash would take
 * event time back to where they are needed. Called after each step of a run.
 */
export function expiryWatch(): (log: MemoryLog) => void {
  let seen = 0
  return (log) => {
    const rows = log.records(`ledger-${KEPT}-changelog`)
    if (rows.length === seen) return
    seen = rows.length
    const times = committedTimes(log)
    for (const { key, value, partition } of rows) {
      // Rows of windows begin with the high byte of a time; others do not.
      if (key === null || value !== null || key[0] !== 0) continue
      const expiry = Number(key.readBigUInt64BE(0)) + SIZE_MS + RETENTION_MS
      const committed = times.get(partition) ?? -Infinity
      if (expiry > committed)
        throw new Error(
          `A row of ${KEPT} was deleted ${expiry - committed} ms before event time is committed that far.`,
        )
    }
  }
}

/** The committed watermark of that state in each partition: as of `stateText` of the worker. */
function committedTimes(log: MemoryLog): ReadonlyMap<number, number> {
  const times = new Map<number, number>()
  for (const { partition, metadata } of log.committed('ledger')) {
    const time = new RegExp(`<<${KEPT}<([0-9a-z.]*)<`).exec(metadata)?.[1]
    // An earlier release may have left an older one with another topic.
    const known = times.get(partition) ?? -Infinity
    if (time !== undefined && time !== '') times.set(partition, Math.max(known, Number.parseInt(time, 36)))
  }
  return times
}
