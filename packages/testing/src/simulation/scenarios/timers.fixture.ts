import { json } from '@millrace/app'
import type { MemoryLog } from '@millrace/transport-embedded'
import { checkCounts, checkSent, type Entry, idOf, type Scenario } from './scenario.fixture.ts'

const CHANGELOG = 'ledger-reminders-changelog'
/** Rows with this first byte are not timers. */
const INTERNAL = 0xff
const MOST_MS = 3000
const LONG_AFTER_MS = 60_000

/** Its timer is cancelled by the event that sets it. */
const isCancelled = ({ number }: Entry): boolean => number % 7 === 6
/** Its timer is set once more by the event that it fires. */
const isRepeated = ({ number }: Entry): boolean => number % 3 === 0

/** What is seen once is there; each entry sets a timer; handlers of those that fire write, send, set further ones, and fail now and then. */
export const timers: Scenario = ({ app, world, entries }) => {
  const fired = app.topic('fired', { key: 'string', value: json<Entry>() })
  const repeated = app.topic('repeated', { key: 'string', value: json<Entry>() })
  const counts = app.table('fired_counts', { key: 'string', value: 'number', default: () => 0 })
  const reminders = app.keyTimers('reminders', { key: 'string', value: json<Entry>(), clock: 'wall' })
  const deduped = app.topic('deduped', { key: 'string', value: json<Entry>() })
  const early: string[] = []
  const onError = { retry: 1000, backoff: '20ms', maxBackoff: '100ms' } as const
  app.agent(
    'set-reminders',
    entries,
    async (stream) => {
      for await (const entry of stream) {
        const name = String(entry.number)
        reminders.set(entry.key, name, app.clock.now() + Math.floor(world.random() * MOST_MS), entry)
        await world.pause()
        if (isCancelled(entry)) reminders.cancel(entry.key, name)
        if (world.fails(0.06)) throw new Error('a handler that fails now and then')
      }
    },
    { concurrency: 2, onError },
  )
  app.agent(
    'remind',
    reminders,
    async (stream) => {
      for await (const { key, name, at, value } of stream) {
        if (at > app.clock.now()) early.push(`${key}/${name}`)
        counts.update(key, (count) => count + 1)
        await world.pause()
        if (name.startsWith('again')) await repeated.send({ key, value })
        else {
          await fired.send({ key, value })
          if (isRepeated(value)) reminders.set(key, `again ${name}`, at + MOST_MS / 10, value)
        }
        if (world.fails(0.06)) throw new Error('a handler that fails now and then')
      }
    },
    { concurrency: 3, onError },
  )
  app.agent(
    'dedupe',
    entries,
    async (stream) => {
      for await (const entry of stream.dedupe({ by: idOf, within: '1h' })) {
        await deduped.send({ key: entry.key, value: entry })
        await world.pause()
        if (world.fails(0.06)) throw new Error('a handler that fails now and then')
      }
    },
    { concurrency: 2, onError },
  )
  return ({ run, input }) => {
    checkSent(deduped, { run, expected: input })
    if (early.length > 0) throw new Error(`Timers fired before their time: ${early.join(', ')}.`)
    const expected = input.filter((entry) => !isCancelled(entry))
    checkSent(fired, { run, expected })
    checkSent(repeated, { run, expected: expected.filter(isRepeated) })
    checkCounts('fired_counts', {
      counted: (id) => counts.get(id),
      ids: [...expected, ...expected.filter(isRepeated)].map(({ key, cut }) => ({ id: key, cut })),
      mayDouble: run.mayDouble,
    })
    if (reminders.size !== 0) throw new Error(`${reminders.size} timers are left.`)
  }
}

/** Whether timers wait for their time, or have not fired long after it: no event shows them. */
export function hasTimers(log: MemoryLog, nowMs: number): boolean {
  if (!log.topics().some(({ name }) => name === CHANGELOG)) return false
  const times = new Map<string, number>()
  for (const { partition, key, value } of log.records(CHANGELOG))
    if (key !== null && key[0] !== INTERNAL)
      times.set(`${partition} ${key.toString('latin1')}`, value === null ? -Infinity : value.readDoubleBE(0))
  // With a planted defect, a timer may be left in the changelog for good.
  return [...times.values()].some((at) => at + LONG_AFTER_MS > nowMs)
}
