import { setTimeout as wait } from 'node:timers/promises'
import type { Bench, Scenario } from '../lib/bench.ts'
import { sendAtPace } from '../lib/paced-load.ts'
import { ProcessorTime } from '../lib/processor-time.ts'
import type { Figures } from '../lib/results.ts'

const RATES = [1000, 2000, 5000, 10_000, 20_000]
/** At each rate, before what counts: a broker's JVM is slow until it is warm. */
const WARM_SECONDS = 5
/** A program with a p99 above this does not keep up; higher rates are not tried. */
const TIPPED_MS = 1000
const GUARANTEES = ['at-least-once', 'exactly-once'] as const

/** From sending a record to reading what became of it, read committed, at several rates until a program tips over. */
export const latency: Scenario = latencyOf(['map'])

export function latencyOf(programs: readonly string[]): Scenario {
  return {
    describe: 'topic → topic at rates from 1,000 a second: time to the committed output; records: at the lowest rate',
    defaults: { records: 20_000, runs: 1, partitions: 4 },
    run: async (bench) => {
      const figures: Record<string, number> = {}
      for (const guarantee of GUARANTEES) {
        for (const program of programs) {
          const prefix = (guarantee === 'exactly-once' ? 'exact' : 'least') + (program === 'map' ? '' : 'Peer')
          for (const perSecond of RATES) {
            const one = await latencyOnce(bench, { program, guarantee, perSecond })
            for (const [name, value] of Object.entries(one)) figures[`${prefix}${perSecond}${name}`] = value
            if (one['P99Ms'] === undefined || one['P99Ms'] > TIPPED_MS) break
          }
        }
      }
      return figures
    },
  }
}

interface Setup {
  readonly program: string
  readonly guarantee: (typeof GUARANTEES)[number]
  readonly perSecond: number
}

async function latencyOnce(bench: Bench, { program, guarantee, perSecond }: Setup): Promise<Figures> {
  const { partitions, records } = bench.options
  const seconds = WARM_SECONDS + records / 1000
  const [input, output] = [bench.name('latency-input'), bench.name('latency-output')]
  await bench.broker.admin.createTopics({
    topics: [input, output].map((topic) => ({ topic, numPartitions: partitions })),
    waitForLeaders: true,
  })
  const seen = await watchOutput(bench, output)
  const child = bench.start(program, {
    INPUT: input,
    OUTPUT: output,
    GROUP: bench.name('latency-group'),
    GUARANTEE: guarantee,
    ...(guarantee === 'exactly-once' ? { COMMIT: '100' } : {}),
  })
  try {
    await child.until('running', 60_000)
    const time = new ProcessorTime(bench, child)
    time.begin()
    const sentMs = await sendAtPace(bench.broker, { topic: input, perSecond, seconds, keys: 10_000 })
    await seen.until(sentMs.length)
    const { workerSeconds, brokerSeconds } = time.spent()
    const from = perSecond * WARM_SECONDS
    const took = seen.atMs.slice(from).map((ms, nth) => ms - (sentMs[from + nth] ?? 0))
    took.sort((a, b) => a - b)
    const at = (share: number): number => took[Math.floor(took.length * share)] ?? Number.NaN
    return { P50Ms: at(0.5), P99Ms: at(0.99), WorkerSeconds: workerSeconds, BrokerSeconds: brokerSeconds }
  } finally {
    await child.end()
    await seen.close()
  }
}

interface Seen {
  /** When each record was read, by its `n`, of `performance.now()`. */
  readonly atMs: readonly number[]
  /** Until so many have been read, or too much time has passed: what is missing then has the time of that moment. */
  until(total: number): Promise<void>
  close(): Promise<void>
}

async function watchOutput({ broker, name }: Bench, topic: string): Promise<Seen> {
  const consumer = broker.kafka.consumer({ groupId: name('latency-reader'), maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const atMs: number[] = []
  let count = 0
  await consumer.run({
    eachBatch: async ({ batch }) => {
      const now = performance.now()
      for (const { value } of batch.messages) {
        const { n }: { n: number } = JSON.parse(String(value))
        if (atMs[n] === undefined) count++
        atMs[n] ??= now
      }
    },
  })
  return {
    atMs,
    until: async (total) => {
      const limitMs = performance.now() + 30_000
      while (count < total && performance.now() < limitMs) await wait(20)
      for (let n = 0; n < total; n++) atMs[n] ??= performance.now()
    },
    close: () => consumer.disconnect(),
  }
}
