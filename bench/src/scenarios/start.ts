import { setTimeout as wait } from 'node:timers/promises'
import { recordsIn } from '../lib/broker.ts'
import type { Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { median } from '../lib/results.ts'

/** From the start of the process to its first acknowledged output, and what it holds after ten idle seconds. */
export const start: Scenario = {
  describe: 'start to first output, and idle memory',
  defaults: { records: 100, runs: 5, partitions: 4 },
  run: async (bench) => {
    const input = bench.name('start-input')
    await load(bench.broker, {
      topic: input,
      records: bench.options.records,
      keys: 100,
      partitions: bench.options.partitions,
    })
    const figures: Record<string, number[]> = { firstOutputMs: [], rawFirstOutputMs: [], idleMb: [], rawIdleMb: [] }
    for (let run = 0; run < bench.options.runs; run++) {
      for (const [program, prefix] of [
        ['map', ''],
        ['raw-map', 'raw'],
      ] as const) {
        const output = bench.name('start-output')
        await bench.broker.admin.createTopics({ topics: [{ topic: output, numPartitions: bench.options.partitions }] })
        const child = bench.start(program, { INPUT: input, OUTPUT: output, GROUP: bench.name('start-group') })
        while ((await recordsIn(bench.broker.admin, output)) === 0) await wait(5)
        figures[prefix === '' ? 'firstOutputMs' : 'rawFirstOutputMs']?.push(performance.now() - child.startedMs)
        await wait(10_000)
        figures[prefix === '' ? 'idleMb' : 'rawIdleMb']?.push(child.residentMb())
        await child.end()
      }
    }
    return Object.fromEntries(Object.entries(figures).map(([name, values]) => [name, median(values)]))
  },
}
