import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { median } from '../lib/results.ts'

/** Rebuilding a table from its changelog, next to reading the same topic into a `Map`. */
export const restore: Scenario = {
  describe: 'a table from its changelog, next to kafkajs by hand into a Map',
  defaults: { records: 1_000_000, runs: 3, partitions: 4 },
  run: async (bench) => {
    const { records, partitions, runs } = bench.options
    const raw: number[] = []
    const ours: number[] = []
    let peakMb = 0
    for (let run = 0; run < runs; run++) {
      const group = bench.name('restore-group')
      const source = await prepareGroup(bench, group)
      const changelog = `${group}-payments-changelog`
      await load(
        bench.broker,
        { topic: changelog, records, keys: 10_000, partitions },
        { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '1' },
      )
      raw.push((await restoreOnce(bench, 'raw-restore', { INPUT: changelog, GROUP: bench.name('raw-group') })).rate)
      const one = await restoreOnce(bench, 'restore', { INPUT: source, GROUP: group })
      ours.push(one.rate)
      peakMb = Math.max(peakMb, one.peakMb)
    }
    return { rawPerSecond: median(raw), perSecond: median(ours), ratio: median(ours) / median(raw), peakMb }
  },
}

/** A source topic whose offsets the group has committed: a changelog with rows and no committed source would be refused. */
async function prepareGroup(bench: Bench, group: string): Promise<string> {
  const { partitions } = bench.options
  const source = bench.name('restore-source')
  await load(bench.broker, { topic: source, records: 1000, keys: 1000, partitions })
  const offsets = await bench.broker.admin.fetchTopicOffsets(source)
  await bench.broker.admin.setOffsets({
    groupId: group,
    topic: source,
    partitions: offsets.map(({ partition, offset }) => ({ partition, offset })),
  })
  return source
}

async function restoreOnce(
  bench: Bench,
  program: string,
  env: Readonly<Record<string, string>>,
): Promise<{ rate: number; peakMb: number }> {
  const child = bench.start(program, { RECORDS: String(bench.options.records), ...env })
  try {
    const { rate } = await child.until('done', 120_000)
    return { rate: Number(rate), peakMb: child.peakMb() }
  } finally {
    await child.end()
  }
}
