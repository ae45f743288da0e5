import type { Bench } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import { type JobRun, ProcessorTime } from '../lib/processor-time.ts'

/** Counts a key for each record; then a new process with nothing on disk has the table again. Gives rows per second from its start. */
export async function restoredOnce(bench: Bench, input: string, program: string): Promise<JobRun> {
  const { records } = bench.options
  const env = { INPUT: input, GROUP: bench.name('restored-group'), RECORDS: String(records) }
  const first = bench.start(program, env)
  try {
    await first.until('all', 180_000)
  } finally {
    await first.end()
  }
  const child = bench.start(program, env)
  try {
    const time = new ProcessorTime(bench, child)
    time.begin()
    await child.until('running', 120_000)
    const seconds = (performance.now() - child.startedMs) / 1000
    const { workerSeconds, brokerSeconds } = time.spent()
    const millions = records / 1e6
    return {
      rate: records / seconds,
      peakMb: child.peakMb(),
      workerSeconds: workerSeconds / millions,
      brokerSeconds: brokerSeconds / millions,
    }
  } finally {
    await child.end()
  }
}

/** A topic with a key for each record. */
export async function loadKeys(bench: Bench): Promise<string> {
  const { records, partitions } = bench.options
  const topic = bench.name('keys-input')
  await load(bench.broker, { topic, records, keys: records, partitions })
  return topic
}
