import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import type { Figures } from '../lib/results.ts'

/** Until everything that was counted is committed. */
const REST_MS = 5000
const PHASES = ['filled', 'closed', 'expired'] as const
const FIGURES = ['seconds', 'longestTurnMs', 'longestBusyTurnMs', 'longestOwnTurnMs', 'longestGcMs'] as const

/** A window for each key, all of the same minute: how long they take to close and to expire, and for how long nothing else ran. */
export const closing: Scenario = {
  describe: 'windows that all close and expire at once, with the longest turn of the event loop, in memory and in LMDB',
  defaults: { records: 1_000_000, runs: 1, partitions: 4 },
  run: async (bench) => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-closing-'))
    try {
      return {
        ...(await closeAll(bench, 'memory:', 'memory')),
        ...(await closeAll(bench, `lmdb:${directory}`, 'lmdb')),
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
}

async function closeAll(bench: Bench, store: string, prefix: string): Promise<Figures> {
  const { records, partitions } = bench.options
  const input = bench.name('closing-input')
  const minute = Math.floor(Date.now() / 60_000) * 60_000 - 600_000
  const times = { fromMs: minute, spanMs: 1 }
  await load(bench.broker, { topic: input, records, keys: records, partitions, times })
  const child = bench.start('closing', {
    INPUT: input,
    GROUP: bench.name('closing-group'),
    RECORDS: String(records),
    STORE: store,
  })
  const figures: Record<string, number> = {}
  try {
    for (const phase of PHASES) {
      const mark = await child.until(phase, 300_000)
      for (const figure of FIGURES) figures[`${prefix}${capital(phase)}${capital(figure)}`] = Number(mark[figure])
      if (phase !== 'filled') continue
      await wait(REST_MS)
      await end(bench, input, minute + 300_000)
    }
    figures[`${prefix}PeakMb`] = child.peakMb()
    return figures
  } finally {
    await child.end()
  }
}

/** Records in every partition, far enough ahead for everything to close and expire. */
async function end({ broker }: Bench, topic: string, timestamp: number): Promise<void> {
  const producer = broker.kafka.producer()
  await producer.connect()
  const messages = Array.from({ length: 64 }, (_, n) => {
    const user = `end-${n}`
    return { key: user, value: JSON.stringify({ user }), timestamp: String(timestamp) }
  })
  await producer.send({ topic, messages })
  await producer.disconnect()
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
