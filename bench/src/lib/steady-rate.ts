import { setTimeout as wait } from 'node:timers/promises'

export interface SteadyOptions {
  readonly total: number
  readonly limitMs: number
  /** Called at 10 %. */
  readonly begin: () => void
}

/** Watches a count grow to `total` and gives the rate between 10 % and 90 % of it, per second. */
export async function steadyRate(
  count: () => Promise<number>,
  { total, limitMs, begin }: SteadyOptions,
): Promise<number> {
  const begun = performance.now()
  let from: { count: number; ms: number } | undefined
  for (;;) {
    const now = await count()
    const ms = performance.now()
    if (from === undefined && now >= total * 0.1) {
      from = { count: now, ms }
      begin()
    }
    if (from !== undefined && now >= total * 0.9 && now > from.count)
      return ((now - from.count) / (ms - from.ms)) * 1000
    if (ms - begun > limitMs) throw new Error(`Only ${now} of ${total} within ${limitMs} ms.`)
    await wait(25)
  }
}
