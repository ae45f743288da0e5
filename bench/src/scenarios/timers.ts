import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import type { Figures } from '../lib/results.ts'

const IDLE_MS = 10_000

/** Timers that are an hour away, in LMDB: how fast they are set, and what a worker with all of them holds while it waits. */
export const timers: Scenario = {
  describe: 'pending timers in LMDB: set per second, and idle memory with all of them after a restart',
  defaults: { records: 1_000_000, runs: 1, partitions: 4 },
  run: async (bench) => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-timers-'))
    const input = bench.name('timers-input')
    const env = { INPUT: input, GROUP: bench.name('timers-group'), DIRECTORY: directory }
    try {
      await load(bench.broker, { ...bench.options, topic: input, records: 0, keys: 1 })
      const empty = await idle(bench, { ...env, GROUP: bench.name('no-timers'), DIRECTORY: join(directory, 'empty') })
      const full = bench.name('timers-full')
      await load(bench.broker, { ...bench.options, topic: full, keys: bench.options.records })
      const setting = { ...env, INPUT: full, RECORDS: String(bench.options.records) }
      const child = bench.start('timers', setting)
      let perSecond = Number.NaN
      let peakMb = Number.NaN
      try {
        perSecond = Number((await child.until('done', 300_000))['rate'])
        await child.until('all', 120_000)
        peakMb = child.peakMb()
      } finally {
        await child.end()
      }
      const { residentMb = 0, anonymousMb = 0, timers: kept = 0 } = await idle(bench, setting)
      return {
        perSecond,
        peakMb,
        timers: kept,
        residentMb,
        anonymousMb,
        // Of its memory alone: the pages of the store belong to the file.
        moreThanEmptyMb: anonymousMb - (empty['anonymousMb'] ?? 0),
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
}

/** Memory of a worker that has nothing to do. */
async function idle(bench: Bench, env: Readonly<Record<string, string>>): Promise<Figures> {
  const child = bench.start('timers', env)
  try {
    const { timers: kept } = await child.until('started', 120_000)
    await wait(IDLE_MS)
    return { timers: Number(kept), residentMb: child.residentMb(), anonymousMb: child.anonymousMb() }
  } finally {
    await child.end()
  }
}
