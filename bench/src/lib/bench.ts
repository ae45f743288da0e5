import type { BenchBroker } from './broker.ts'
import type { Figures } from './results.ts'
import type { Programs } from './programs.ts'
import { startChild, type MeasuredChild } from './child.ts'

export interface BenchOptions {
  readonly records: number
  readonly runs: number
  readonly partitions: number
}

/** What a scenario gets. */
export interface Bench {
  readonly broker: BenchBroker
  readonly programs: Programs
  readonly options: BenchOptions
  /** A name that no other run uses. */
  name(what: string): string
  /** Starts a measured program with BROKERS and `env`. */
  start(program: string, env: Readonly<Record<string, string>>): MeasuredChild
}

export interface Scenario {
  readonly describe: string
  readonly defaults: BenchOptions
  run(bench: Bench): Promise<Figures>
}

export function makeBench(broker: BenchBroker, programs: Programs, options: BenchOptions): Bench {
  const run = Date.now().toString(36)
  let names = 0
  return {
    broker,
    programs,
    options,
    name: (what) => `${what}-${run}-${++names}`,
    start: (program, env) =>
      startChild(programs.command(program), { BROKERS: broker.brokers, ...env }, programs.directory),
  }
}
