import type { Bench, Scenario } from '../lib/bench.ts'
import { load } from '../lib/load.ts'
import type { JobRun } from '../lib/processor-time.ts'
import { type Figures, median } from '../lib/results.ts'
import { countOnce } from './count.ts'
import { joinOnce, loadBoth } from './join.ts'
import { latencyOf } from './latency.ts'
import { mapOnce } from './map.ts'
import { loadKeys, restoredOnce } from './restored.ts'
import { loadMinutes } from './windowed.ts'

/** Makes the input of a job; gives what runs a program on it. */
type Job = (bench: Bench) => Promise<(program: string) => Promise<JobRun>>

/** Each 100 ms is the default of both there. */
const EXACTLY_ONCE = { GUARANTEE: 'exactly-once', COMMIT: '100' }

/** The jobs that Kafka Streams does too, one core for the worker and one for the broker: both in turn, on the same topics. */
export const besideKafkaStreams: Readonly<Record<string, Scenario>> = {
  map: beside('map', 500_000, async (bench) => {
    const input = await loadPlain(bench)
    return (program) => mapOnce(bench, input, program, {})
  }),
  count: beside('count', 1_000_000, async (bench) => {
    const input = await loadPlain(bench)
    return (program) => countOnce(bench, input, program)
  }),
  windowed: beside('windowed-count', 1_000_000, async (bench) => {
    const input = await loadMinutes(bench)
    return (program) => countOnce(bench, input, program)
  }),
  join: beside('join', 500_000, async (bench) => {
    const inputs = await loadBoth(bench)
    return (program) => joinOnce(bench, inputs, program)
  }),
  keys: beside('count', 1_000_000, async (bench) => {
    const input = await loadKeys(bench)
    return (program) => countOnce(bench, input, program)
  }),
  'map-exactly-once': beside('map', 500_000, async (bench) => {
    const input = await loadPlain(bench)
    return (program) => mapOnce(bench, input, program, EXACTLY_ONCE)
  }),
  'count-exactly-once': beside('count', 1_000_000, async (bench) => {
    const input = await loadPlain(bench)
    return (program) => countOnce(bench, input, program, EXACTLY_ONCE)
  }),
  restore: beside('count', 1_000_000, async (bench) => {
    const input = await loadKeys(bench)
    return (program) => restoredOnce(bench, input, program)
  }),
  latency: latencyOf(['kafka-streams:map', 'map']),
}

function beside(program: string, records: number, job: Job): Scenario {
  return {
    describe: `${program}, next to Kafka Streams`,
    defaults: { records, runs: 3, partitions: 4 },
    run: async (bench) => {
      const runOnce = await job(bench)
      const ours: JobRun[] = []
      const theirs: JobRun[] = []
      for (let run = 0; run < bench.options.runs; run++) {
        theirs.push(await runOnce(`kafka-streams:${program}`))
        ours.push(await runOnce(program))
      }
      return compared(ours, theirs)
    },
  }
}

async function loadPlain(bench: Bench): Promise<string> {
  const topic = bench.name('plain-input')
  await load(bench.broker, { ...bench.options, topic, keys: 10_000 })
  return topic
}

function compared(ours: readonly JobRun[], theirs: readonly JobRun[]): Figures {
  const of = (runs: readonly JobRun[], name: keyof JobRun): number => median(runs.map((run) => run[name]))
  const worker = { ours: of(ours, 'workerSeconds'), theirs: of(theirs, 'workerSeconds') }
  const broker = { ours: of(ours, 'brokerSeconds'), theirs: of(theirs, 'brokerSeconds') }
  return {
    perSecond: of(ours, 'rate'),
    peerPerSecond: of(theirs, 'rate'),
    ratio: of(ours, 'rate') / of(theirs, 'rate'),
    // Processor seconds for a million records.
    workerSeconds: worker.ours,
    peerWorkerSeconds: worker.theirs,
    ratioPerWorkerSecond: worker.theirs / worker.ours,
    brokerSeconds: broker.ours,
    peerBrokerSeconds: broker.theirs,
    ratioPerSecondOfBoth: (worker.theirs + broker.theirs) / (worker.ours + broker.ours),
    peakMb: of(ours, 'peakMb'),
    peerPeakMb: of(theirs, 'peakMb'),
  }
}
