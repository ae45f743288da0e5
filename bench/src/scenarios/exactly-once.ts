import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { median } from '../lib/results.ts'
import { countOnce } from './count.ts'
import { mapOnce } from './map.ts'

/**
 * What exactly once costs: the same program under both guarantees, in turn, with commits each 100 ms (the default of
 * exactly once); and at least once with its own default, a commit each second.
 */
function comparedWith(
  what: string,
  records: number,
  once: (
    bench: Bench,
    input: string,
    env: Readonly<Record<string, string>>,
  ) => Promise<{ rate: number; peakMb: number }>,
): Scenario {
  return {
    describe: `${what} exactly once, next to at least once`,
    defaults: { records, runs: 3, partitions: 4 },
    run: async (bench) => {
      const input = bench.name(`${what}-input`)
      await load(bench.broker, { ...bench.options, topic: input, keys: 10_000 })
      const byDefault: number[] = []
      const atLeast: number[] = []
      const exactly: number[] = []
      let peakMb = 0
      for (let run = 0; run < bench.options.runs; run++) {
        byDefault.push((await once(bench, input, { GUARANTEE: 'at-least-once' })).rate)
        atLeast.push((await once(bench, input, { GUARANTEE: 'at-least-once', COMMIT: '100' })).rate)
        const one = await once(bench, input, { GUARANTEE: 'exactly-once' })
        exactly.push(one.rate)
        peakMb = Math.max(peakMb, one.peakMb)
      }
      return {
        atLeastOncePerSecond: median(atLeast),
        atLeastOnceDefaultPerSecond: median(byDefault),
        perSecond: median(exactly),
        ratio: median(exactly) / median(atLeast),
        ratioToDefault: median(exactly) / median(byDefault),
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
