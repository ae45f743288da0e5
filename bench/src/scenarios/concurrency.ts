import type { Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { median } from '../lib/results.ts'

/** An agent that waits 10 ms for each event, with 64 in flight on one partition; the order per key is checked. */
export const concurrency: Scenario = {
  describe: 'an agent that awaits 10 ms, concurrency 64, one partition',
  defaults: { records: 100_000, runs: 1, partitions: 1 },
  run: async (bench) => {
    const { records, runs } = bench.options
    const input = bench.name('sleeper-input')
    await load(bench.broker, { topic: input, records, keys: 10_000, partitions: 1 })
    const rates: number[] = []
    let disordered = 0
    for (let run = 0; run < runs; run++) {
      const child = bench.start('sleeper', {
        INPUT: input,
        GROUP: bench.name('sleeper-group'),
        RECORDS: String(records),
      })
      try {
        const mark = await child.until('done', 180_000)
        rates.push(Number(mark['rate']))
        disordered += Number(mark['disordered'])
      } finally {
        await child.end()
      }
    }
    return { perSecond: median(rates), disordered }
  },
}
