import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { type JobRun, ProcessorTime } from '../lib/processor-time.ts'
import { median } from '../lib/results.ts'

/** Counting by key into a table with a changelog, next to counting in a `Map` without one. */
export const count: Scenario = {
  describe: 'count by key with a changelog, next to kafkajs by hand with a Map',
  defaults: { records: 1_000_000, runs: 3, partitions: 4 },
  run: async (bench) => {
    const { records, partitions, runs } = bench.options
    const input = bench.name('count-input')
    await load(bench.broker, { topic: input, records, keys: 10_000, partitions })
    const raw: number[] = []
    const ours: number[] = []
    let peakMb = 0
    for (let run = 0; run < runs; run++) {
      raw.push((await countOnce(bench, input, 'raw-count')).rate)
      const one = await countOnce(bench, input, 'count')
      ours.push(one.rate)
      peakMb = Math.max(peakMb, one.peakMb)
    }
    return { rawPerSecond: median(raw), perSecond: median(ours), ratio: median(ours) / median(raw), peakMb }
  },
}

/** One run of a program; gives records counted per second. */
export async function countOnce(
  bench: Bench,
  input: string,
  program: string,
  env: Readonly<Record<string, string>> = {},
): Promise<JobRun> {
  const child = bench.start(program, {
    INPUT: input,
    GROUP: bench.name('count-group'),
    RECORDS: String(bench.options.records),
    ...env,
  })
  try {
    const time = new ProcessorTime(bench, child)
    await child.until('begun', 120_000)
    time.begin()
    const { rate } = await child.until('done', 120_000)
    return { rate: Number(rate), peakMb: child.peakMb(), ...time.perMillion(bench.options.records) }
  } finally {
    await child.end()
  }
}
