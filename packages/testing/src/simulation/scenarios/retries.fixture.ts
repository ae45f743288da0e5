import { json } from '@millrace/app'
import type { MemoryLog } from '@millrace/transport-embedded'
import {
  checkCounts,
  checkOrder,
  checkSent,
  type Entry,
  idOf,
  type Scenario,
  type ScenarioOutcome,
} from './scenario.fixture.ts'

const AGENTS = ['charge', 'notify'] as const
const DELAYS = [200, 700, 300] as const
const LONG_AFTER_MS = 60_000
/** The rows of events that are due at a time begin with this byte, and have the time here. */
const FIRST = 'h'.charCodeAt(0)
const TIME_AT = 2

/** Every attempt at these entries fails. */
const isPoison = ({ number }: Entry): boolean => number % 5 === 2
/** How often a service refuses an entry before it takes it. */
const refusals = ({ number }: Entry): number => [0, 1, 0, 2, 3][number % 5] ?? 0

/** Events that wait outside of their partitions, behind which those of their key wait or do not. */
export const retries: Scenario = ({ app, world, entries, remembered }) => {
  const counts = app.table('charged_counts', { key: 'string', value: 'number', default: () => 0 })
  const topics = AGENTS.map((agent) => {
    const done = app.topic(`${agent}d`, { key: 'string', value: json<Entry>() })
    app.agent(
      agent,
      entries,
      async (stream) => {
        for await (const entry of stream) {
          await done.send({ key: entry.key, value: entry })
          if (agent === 'charge') counts.update(entry.key, (count) => count + 1)
          await world.pause()
          if (isPoison(entry)) throw new Error('a handler that fails for good')
          const calls = Array.from({ length: refusals(entry) }, (_, nth) => `${agent} ${idOf(entry)} ${nth}`)
          const refused = calls.find((call) => !remembered.has(call))
          if (refused === undefined) continue
          remembered.add(refused)
          throw new Error('a service that is down')
        }
      },
      { concurrency: 2, retry: { delays: DELAYS, order: agent === 'charge' ? 'key' : 'none' } },
    )
    return done
  })
  return (outcome) => {
    const { run, input } = outcome
    const healthy = input.filter((entry) => !isPoison(entry))
    for (const topic of topics) checkSent(topic, { run, expected: healthy })
    const [charged] = topics
    if (charged !== undefined) checkOrder(charged, run)
    for (const agent of AGENTS) checkLetters(agent, outcome, entries)
    checkCounts('charged_counts', {
      counted: (id) => counts.get(id),
      ids: healthy.map(({ key, cut }) => ({ id: key, cut })),
      mayDouble: run.mayDouble,
    })
    for (const agent of AGENTS) {
      const left = waitingRows(run.log, agent)
      if (left.length > 0) throw new Error(`${left.length} events of agent ${agent} still wait.`)
    }
  }
}

/** Each entry that fails for good is a dead letter, after all of its attempts. */
function checkLetters(
  agent: string,
  { run, input }: ScenarioOutcome,
  { key, value }: Pick<Parameters<Scenario>[0]['entries'], 'key' | 'value'>,
): void {
  const letters = { name: `ledger-${agent}-dlq`, key, value }
  checkSent(letters, { run, expected: input.filter(isPoison) })
  if (agent === 'charge') checkOrder(letters, run)
  for (const { headers } of run.log.records(letters.name)) {
    const attempts = headers.find(([name]) => name === 'millrace-attempts')?.[1]?.toString()
    if (attempts !== String(DELAYS.length + 1)) throw new Error(`${letters.name} has a letter of ${attempts} attempts.`)
  }
}

/** Whether events wait for their time, or have not been handled long after it. */
export function hasWaitingEvents(log: MemoryLog, nowMs: number): boolean {
  return AGENTS.some((agent) => waitingRows(log, agent).some((at) => at + LONG_AFTER_MS > nowMs))
}

/** When the waiting events of an agent are due, of those that are the first of their keys. */
function waitingRows(log: MemoryLog, agent: string): readonly number[] {
  const changelog = `ledger-${agent}-retries-changelog`
  if (!log.topics().some(({ name }) => name === changelog)) return []
  const times = new Map<string, number>()
  for (const { partition, key, value } of log.records(changelog)) {
    if (key === null || key[0] !== FIRST) continue
    const row = `${partition} ${key.toString('latin1')}`
    if (value === null) times.delete(row)
    else times.set(row, value.readDoubleBE(TIME_AT))
  }
  return [...times.values()]
}
