import type { BenchBroker } from './broker.ts'
import type { Figures } from './results.ts'
import type { Programs } from './programs.ts'
import { startChild, type MeasuredChild } from './child.ts'

export interface BenchOptions {
  readonly records: number
  readonly runs: number
  readonly partitions: number
}

const PEER_JOB = /^kafka-streams:(.+)$/

/** What a scenario gets. */
export interface Bench {
  readonly broker: BenchBroker
  readonly programs: Programs
  readonly options: BenchOptions
  /** A name that no other run uses. */
  name(what: string): string
  /** Starts a measured program with BROKERS and `env`; `kafka-streams:{job}` is a job of `Peer.java`. */
  start(program: string, env: Readonly<Record<string, string>>): MeasuredChild
}

export interface Scenario {
  readonly describe: string
  readonly defaults: BenchOptions
  run(bench: Bench): Promise<Figures>
}

/** `peer`: the command that runs a job in Kafka Streams, without the job's name. */
export function makeBench(
  broker: BenchBroker,
  { programs, peer }: { readonly programs: Programs; readonly peer: readonly string[] },
  options: BenchOptions,
): Bench {
  const run = Date.now().toString(36)
  let names = 0
  return {
    broker,
    programs,
    options,
    name: (what) => `${what}-${run}-${++names}`,
    start: (program, env) => {
      const [, job] = PEER_JOB.exec(program) ?? []
      const command = job === undefined ? programs.command(program) : [...peer, job]
      return startChild(command, { BROKERS: broker.brokers, ...env }, programs.directory)
    },
  }
}
