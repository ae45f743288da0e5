import { recordsIn } from '../lib/broker.ts'
import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { type JobRun, ProcessorTime } from '../lib/processor-time.ts'
import { median } from '../lib/results.ts'
import { steadyRate } from '../lib/steady-rate.ts'

const SPAN_MS = 600_000
/** Less than the time between two records of a key: each record meets one of the other topic. */
const WITHIN_MS = 1000

/** Two topics with the same keys and times: the records of both per second, by the pairs that are acknowledged. */
export const join: Scenario = {
  describe: 'a join of two streams: each record meets one of the other',
  defaults: { records: 500_000, runs: 3, partitions: 4 },
  run: async (bench) => {
    const inputs = await loadBoth(bench)
    const rates: number[] = []
    let peakMb = 0
    for (let run = 0; run < bench.options.runs; run++) {
      const one = await joinOnce(bench, inputs, 'join')
      rates.push(one.rate)
      peakMb = Math.max(peakMb, one.peakMb)
    }
    return { perSecond: median(rates), peakMb }
  },
}

/** Two topics with the same records. */
export async function loadBoth(bench: Bench): Promise<readonly [one: string, other: string]> {
  const { records, partitions } = bench.options
  const times = { fromMs: Date.now() - SPAN_MS, spanMs: SPAN_MS }
  const topics = [bench.name('join-input'), bench.name('join-other')] as const
  for (const topic of topics) await load(bench.broker, { topic, records, keys: 10_000, partitions, times })
  return topics
}

/** One run of a program; gives records of both topics per second. */
export async function joinOnce(
  bench: Bench,
  [input, other]: readonly [string, string],
  program: string,
): Promise<JobRun> {
  const { records, partitions } = bench.options
  const output = bench.name('join-output')
  await bench.broker.admin.createTopics({ topics: [{ topic: output, numPartitions: partitions }] })
  const child = bench.start(program, {
    INPUT: input,
    OTHER: other,
    OUTPUT: output,
    GROUP: bench.name('join-group'),
    WITHIN: String(WITHIN_MS),
  })
  try {
    const time = new ProcessorTime(bench, child)
    const begin = (): void => time.begin()
    const out = (): Promise<number> => recordsIn(bench.broker.admin, output)
    const rate = await steadyRate(out, { total: records, limitMs: 180_000, begin })
    return { rate: 2 * rate, peakMb: child.peakMb(), ...time.perMillion(2 * records) }
  } finally {
    await child.end()
  }
}
