import type { SiteStats } from '@millrace/web'

/** Rates are averages over this time: short enough to be current, long enough not to flicker. */
const SPAN_MS = 5_000

interface CountSample {
  readonly atMs: number
  readonly counts: ReadonlyMap<string, number>
}

/** Rates of counters, from their values some seconds ago. */
export class Rates {
  #samples: readonly CountSample[] = []

  /** Called about once a second with all counters. */
  add(atMs: number, counts: ReadonlyMap<string, number>): void {
    this.#samples = [...this.#samples.filter((sample) => atMs - sample.atMs <= SPAN_MS), { atMs, counts }]
  }

  /** `undefined` before there are two samples. A new or restarted counter counts from 0. */
  perSecond(counter: string): number | undefined {
    return this.#between(this.#samples[0], counter)
  }

  /** Over the last interval only. */
  lastPerSecond(counter: string): number | undefined {
    return this.#between(this.#samples.at(-2), counter)
  }

  #between(first: CountSample | undefined, counter: string): number | undefined {
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined
    const before = first.counts.get(counter) ?? 0
    const now = last.counts.get(counter) ?? 0
    const grown = now >= before ? now - before : now
    return (grown * 1000) / (last.atMs - first.atMs)
  }
}

/** Every counter in a worker's statistics that has a rate, by name. */
export function countsOf({ agents, tables, flows, sent }: SiteStats): ReadonlyMap<string, number> {
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
export function withRates(stats: SiteStats, rates: Rates, errorsInFiveMinutes: number): SiteStats {
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

/** Three digits are enough and keep messages short. */
export function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 10) / 10
}
