import { recordsIn } from '../lib/broker.ts'
import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { type JobRun, ProcessorTime } from '../lib/processor-time.ts'
import { median, type Figures } from '../lib/results.ts'
import { steadyRate } from '../lib/steady-rate.ts'

const RAW_BATCHES = [250, 500, 1000]

/** Topic to topic: parse, change, send on. The output's end offsets are watched, so only acknowledged records count. */
export const map: Scenario = {
  describe: 'topic → topic, next to kafkajs by hand at its best batch size',
  defaults: { records: 500_000, runs: 3, partitions: 4 },
  run: async (bench) => {
    const { records, partitions, runs } = bench.options
    const input = bench.name('map-input')
    await load(bench.broker, { topic: input, records, keys: 10_000, partitions })
    const raw = new Map<number, number[]>(RAW_BATCHES.map((batch) => [batch, []]))
    const ours: number[] = []
    let peakMb = 0
    let rawPeakMb = 0
    for (let run = 0; run < runs; run++) {
      for (const [batch, rates] of raw) {
        const one = await mapOnce(bench, input, 'raw-map', { BATCH: String(batch) })
        rates.push(one.rate)
        rawPeakMb = Math.max(rawPeakMb, one.peakMb)
      }
      const one = await mapOnce(bench, input, 'map', {})
      ours.push(one.rate)
      peakMb = Math.max(peakMb, one.peakMb)
    }
    return mapFigures(raw, ours, { peakMb, rawPeakMb })
  },
}

function mapFigures(raw: ReadonlyMap<number, readonly number[]>, ours: readonly number[], peaks: Figures): Figures {
  const [batch, rate] = [...raw]
    .map(([size, rates]) => [size, median(rates)] as const)
    .reduce((best, one) => (one[1] > best[1] ? one : best))
  return { rawPerSecond: rate, rawBatch: batch, perSecond: median(ours), ratio: median(ours) / rate, ...peaks }
}

/** One run of a program; gives records out per second. */
export async function mapOnce(
  bench: Bench,
  input: string,
  program: string,
  env: Readonly<Record<string, string>>,
): Promise<JobRun> {
  const output = bench.name('map-output')
  await bench.broker.admin.createTopics({ topics: [{ topic: output, numPartitions: bench.options.partitions }] })
  const child = bench.start(program, { INPUT: input, OUTPUT: output, GROUP: bench.name('map-group'), ...env })
  try {
    const { records } = bench.options
    const time = new ProcessorTime(bench, child)
    const begin = (): void => time.begin()
    const out = (): Promise<number> => recordsIn(bench.broker.admin, output)
    const rate = await steadyRate(out, { total: records, limitMs: 120_000, begin })
    return { rate, peakMb: child.peakMb(), ...time.perMillion(records) }
  } finally {
    await child.end()
  }
}
