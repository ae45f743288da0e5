/** The variable in which the generator of a run is told of it. */
export const RUN_VARIABLE = 'VERIFIER_RUN'

export type Guarantee = 'at-least-once' | 'exactly-once'

/** One run, as its workers and its generator are told of it. */
export interface VerifierRun {
  /** App id: consumer group and prefix of all topics. */
  readonly id: string
  readonly seed: number
  readonly records: number
  /** Over which the records are sent. */
  readonly durationMs: number
  readonly guarantee: Guarantee
  /** `kafka://…` or `embedded:/…`. */
  readonly broker: string
  readonly store: 'memory' | 'lmdb'
  /** Stores and logs of the workers. */
  readonly directory: string
  readonly sessionMs: number
  readonly commitMs: number
  /** Timestamp of record 0, in milliseconds since the epoch. */
  readonly startMs: number
  /** What is broken on purpose. */
  readonly defect: string | undefined
}

/** What a worker process is told. */
export interface WorkerPlan {
  readonly run: VerifierRun
  readonly slot: number
}

/** What the process that started this one said. */
export function runOfThisProcess(): VerifierRun {
  const text = process.env[RUN_VARIABLE]
  if (text === undefined) throw new Error(`${RUN_VARIABLE} is not set: the verifier starts this program.`)
  return JSON.parse(text)
}
