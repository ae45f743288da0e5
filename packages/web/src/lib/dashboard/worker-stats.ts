import type { StatsAnswer } from '../built-in/stats.ts'
import type { HistoryPoint } from './history.ts'
import type { Rates } from './rates.ts'

/** Everything of a worker's statistics that has a rate, by name. */
export function countsOf({ agents, tables, flows, sent }: StatsAnswer): ReadonlyMap<string, number> {
  const counts = new Map<string, number>([['sent', sent]])
  let processed = 0
  for (const [name, agent] of Object.entries(agents)) {
    processed += agent.processed
    counts.set(`agent ${name}`, agent.processed)
  }
  counts.set('events', processed)
  for (const [name, { reads, writes }] of Object.entries(tables)) {
    counts.set(`reads ${name}`, reads)
    counts.set(`writes ${name}`, writes)
  }
  for (const { from, to, records } of flows) counts.set(`flow ${from} ${to}`, records)
  return counts
}

/** The statistics with their rates. */
export function withRates(stats: StatsAnswer, rates: Rates, errorsInFiveMinutes: number): StatsAnswer {
  const rate = (name: string): { readonly perSecond?: number } => {
    const perSecond = rates.perSecond(name)
    return perSecond === undefined ? {} : { perSecond: rounded(perSecond) }
  }
  const each = <T>(things: Readonly<Record<string, T>>, change: (name: string, thing: T) => T): Record<string, T> =>
    Object.fromEntries(Object.entries(things).map(([name, thing]) => [name, change(name, thing)]))
  return {
    ...stats,
    agents: each(stats.agents, (name, agent) => ({ ...agent, ...rate(`agent ${name}`) })),
    tables: each(stats.tables, (name, table) => ({
      ...table,
      readsPerSecond: rounded(rates.perSecond(`reads ${name}`) ?? 0),
      writesPerSecond: rounded(rates.perSecond(`writes ${name}`) ?? 0),
    })),
    flows: stats.flows.map((flow) => ({ ...flow, ...rate(`flow ${flow.from} ${flow.to}`) })),
    rates: {
      events: rounded(rates.perSecond('events') ?? 0),
      sent: rounded(rates.perSecond('sent') ?? 0),
    },
    errorsInFiveMinutes,
  }
}

/** The figures of this second, for the history. */
export function pointOf(
  stats: StatsAnswer,
  rates: Rates,
  { at, errors }: Pick<HistoryPoint, 'at' | 'errors'>,
): HistoryPoint {
  return {
    at,
    events: rounded(rates.lastPerSecond('events') ?? 0),
    sent: rounded(rates.lastPerSecond('sent') ?? 0),
    lag: stats.lag,
    commitAgeMs: stats.commits.at === undefined ? null : Math.max(at - Date.parse(stats.commits.at), 0),
    errors,
  }
}

/** Three figures are enough, and make for short messages. */
function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 10) / 10
}
