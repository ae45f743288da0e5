// pnpm bench [scenario …] [--records N] [--runs N] [--partitions N] [--source] [--peer kafka-streams]
import { parseArgs } from 'node:util'
import { makeBench, type Scenario } from './lib/bench.ts'
import { benchBroker } from './lib/broker.ts'
import { kafkaStreamsCommand } from './lib/kafka-streams.ts'
import { installPrograms, sourcePrograms } from './lib/programs.ts'
import { keepResult } from './lib/results.ts'
import { closing } from './scenarios/closing.ts'
import { concurrency } from './scenarios/concurrency.ts'
import { count } from './scenarios/count.ts'
import { countExactlyOnce, mapExactlyOnce } from './scenarios/exactly-once.ts'
import { join } from './scenarios/join.ts'
import { besideKafkaStreams } from './scenarios/kafka-streams.ts'
import { latency } from './scenarios/latency.ts'
import { map } from './scenarios/map.ts'
import { restart } from './scenarios/restart.ts'
import { restore } from './scenarios/restore.ts'
import { start } from './scenarios/start.ts'
import { timers } from './scenarios/timers.ts'
import { windowed } from './scenarios/windowed.ts'

const own: Readonly<Record<string, Scenario>> = {
  map,
  count,
  'map-exactly-once': mapExactlyOnce,
  'count-exactly-once': countExactlyOnce,
  restore,
  restart,
  windowed,
  join,
  closing,
  timers,
  latency,
  concurrency,
  start,
}
const number = { type: 'string' } as const
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { records: number, runs: number, partitions: number, source: { type: 'boolean' }, peer: { type: 'string' } },
})

if (values.peer !== undefined && values.peer !== 'kafka-streams') {
  console.error(`--peer takes kafka-streams, not ${values.peer}.`)
  process.exit(2)
}
const scenarios = values.peer === undefined ? own : besideKafkaStreams
const chosen = positionals.map((name) => [name, scenarios[name]] as const)
const unknown = chosen.find(([, scenario]) => scenario === undefined)
if (chosen.length === 0 || unknown !== undefined) {
  if (unknown !== undefined) console.error(`There is no scenario "${unknown[0]}".`)
  for (const [name, { describe, defaults }] of Object.entries(scenarios))
    console.log(`${name.padEnd(20)} ${describe} (${JSON.stringify(defaults)})`)
  process.exit(unknown === undefined ? 0 : 2)
}

const programs = values.source === true ? sourcePrograms() : installPrograms()
const peer = values.peer === undefined ? [] : await kafkaStreamsCommand()
const broker = await benchBroker()
try {
  for (const [name, scenario] of chosen) {
    if (scenario === undefined) continue
    const options = {
      records: Number(values.records ?? scenario.defaults.records),
      runs: Number(values.runs ?? scenario.defaults.runs),
      partitions: Number(values.partitions ?? scenario.defaults.partitions),
    }
    keepResult(
      peer.length === 0 ? name : `${name}-kafka-streams`,
      { ...options },
      await scenario.run(makeBench(broker, { programs, peer }, options)),
    )
  }
} finally {
  await broker.stop()
  programs.remove()
}
