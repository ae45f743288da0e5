import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { median } from '../lib/results.ts'
import { countOnce } from './count.ts'

/** Ten windows of a minute. */
const SPAN_MS = 600_000

/** Counting by key and minute, next to counting by key: the same records, both with a changelog. */
export const windowed: Scenario = {
  describe: 'count by key and minute of event time, next to the plain count',
  defaults: { records: 1_000_000, runs: 3, partitions: 4 },
  run: async (bench) => {
    const input = await loadMinutes(bench)
    const plain: number[] = []
    const byMinute: number[] = []
    let peakMb = 0
    for (let run = 0; run < bench.options.runs; run++) {
      plain.push((await countOnce(bench, input, 'count')).rate)
      const one = await countOnce(bench, input, 'windowed-count')
      byMinute.push(one.rate)
      peakMb = Math.max(peakMb, one.peakMb)
    }
    const ratio = median(byMinute) / median(plain)
    return { plainPerSecond: median(plain), perSecond: median(byMinute), ratio, peakMb }
  },
}

/** A topic with records of ten minutes, up to now. */
export async function loadMinutes(bench: Bench): Promise<string> {
  const { records, partitions } = bench.options
  const topic = bench.name('minutes-input')
  const times = { fromMs: Date.now() - SPAN_MS, spanMs: SPAN_MS }
  await load(bench.broker, { topic, records, keys: 10_000, partitions, times })
  return topic
}
