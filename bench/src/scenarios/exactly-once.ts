import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { median } from '../lib/results.ts'
import { countOnce } from './count.ts'
import { mapOnce } from './map.ts'

/** What exactly once costs at the default commit interval: the same program under both guarantees, in turn. */
function comparedWith(
  what: string,
  records: number,
  once: (bench: Bench, input: string, env: Readonly<Record<string, string>>) => Promise<{ rate: number; peakMb: number }>,
): Scenario {
  return {
    describe: `${what} exactly once, next to at least once`,
    defaults: { records, runs: 3, partitions: 4 },
    run: async (bench) => {
      const input = bench.name(`${what}-input`)
      await load(bench.broker, { ...bench.options, topic: input, keys: 10_000 })
      const atLeast: number[] = []
      const exactly: number[] = []
      let peakMb = 0
      for (let run = 0; run < bench.options.runs; run++) {
        atLeast.push((await once(bench, input, { GUARANTEE: 'at-least-once' })).rate)
        const one = await once(bench, input, { GUARANTEE: 'exactly-once' })
        exactly.push(one.rate)
        peakMb = Math.max(peakMb, one.peakMb)
      }
      return {
        atLeastOncePerSecond: median(atLeast),
        perSecond: median(exactly),
        ratio: median(exactly) / median(atLeast),
        peakMb,
      }
    },
  }
}

export const mapExactlyOnce: Scenario = comparedWith('map', 500_000, (bench, input, env) =>
  mapOnce(bench, input, 'map', env),
)

export const countExactlyOnce: Scenario = comparedWith('count', 1_000_000, (bench, input, env) =>
  countOnce(bench, input, 'count', env),
)
