import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { median, type Figures } from '../lib/results.ts'

/** Records that wait for the worker when it is back. */
const WAITING = 1000

/** A worker with a million rows in LMDB is killed with -9 and started again at once, at the default session time-out. */
export const restart: Scenario = {
  describe: 'kill -9 with rows in LMDB to the first event handled again, under both guarantees',
  defaults: { records: 1_000_000, runs: 3, partitions: 4 },
  run: async (bench) => ({
    ...(await under(bench, 'at-least-once', 'atLeastOnce')),
    ...(await under(bench, 'exactly-once', 'exactlyOnce')),
  }),
}

async function under(bench: Bench, guarantee: string, prefix: string): Promise<Figures> {
  const { records, partitions, runs } = bench.options
  const input = bench.name('restart-input')
  await load(bench.broker, { topic: input, records, keys: records, partitions })
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-restart-'))
  const group = bench.name('restart-group')
  const startChild = () =>
    bench.start('restart', { INPUT: input, GROUP: group, DIRECTORY: directory, GUARANTEE: guarantee })
  const toFirst: number[] = []
  let rows = 0
  let child = startChild()
  try {
    let expected = records
    for (let run = 0; run < runs; run++) {
      await committed(bench, group, input, expected)
      await child.kill()
      const killedMs = performance.now()
      await load(bench.broker, { topic: input, records: WAITING, keys: records, partitions })
      const loadedMs = performance.now() - killedMs
      child = startChild()
      await child.until('first', 60_000)
      // Putting records there takes time, which a restart does not.
      toFirst.push(performance.now() - killedMs - loadedMs)
      rows = Number((await child.until('started', 60_000))['rows'])
      expected += WAITING
    }
    return { [`${prefix}Ms`]: median(toFirst), [`${prefix}SlowestMs`]: Math.max(...toFirst), [`${prefix}Rows`]: rows }
  } finally {
    await child.end()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Waits until the group has committed so many records. */
async function committed(bench: Bench, group: string, input: string, records: number): Promise<void> {
  const limitMs = performance.now() + 180_000
  for (;;) {
    const [topic] = await bench.broker.admin.fetchOffsets({ groupId: group, topics: [input] })
    const sum = (topic?.partitions ?? []).reduce((total, { offset }) => total + Math.max(0, Number(offset)), 0)
    if (sum >= records) return
    if (performance.now() > limitMs) throw new Error(`Only ${sum} of ${records} were committed.`)
    await wait(50)
  }
}
