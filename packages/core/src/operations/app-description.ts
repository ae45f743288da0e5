import type { CommandDefinition } from './app-command.ts'

/** An app for listings and the banner. */
export interface AppDescription {
  readonly id: string
  /** Of the `@millrace/app` package. */
  readonly version: string
  /** Without passwords. */
  readonly broker: string
  readonly store: string
  readonly processingGuarantee: string
  readonly agents: readonly AgentDescription[]
  readonly tables: readonly TableDescription[]
  readonly topics: readonly TopicDescription[]
  readonly commands: readonly CommandDefinition[]
}

export interface AgentDescription {
  readonly name: string
  /** Empty for agents of channels. */
  readonly topics: readonly string[]
  /** Topics that it is declared to send to. */
  readonly sinks?: readonly string[]
  readonly concurrency: number
  /** The waits, in milliseconds, after which its failed events come back to it; left out if it retries in place. */
  readonly retryDelaysMs?: readonly number[]
  readonly help: string
}

export interface TableDescription {
  readonly name: string
  readonly kind: 'table' | 'global' | 'set' | 'windowed' | 'timers'
  readonly changelog: string
  /** Codec name; for a set table that of its elements. */
  readonly key: string
  readonly value: string
  /** As declared; `undefined` follows the sources. */
  readonly partitions: number | undefined
  readonly help: string
}

export interface TopicDescription {
  readonly name: string
  /** As declared; `undefined` follows the settings or the source. */
  readonly partitions: number | undefined
  /** Codec names, `undefined` if none was declared. */
  readonly key: string | undefined
  readonly value: string | undefined
  /** Whether Millrace makes it for the app itself. */
  readonly internal: boolean
  /** Whether a worker creates it if it is missing. */
  readonly created: boolean
}

/** How a run ended: `cut-short` if the worker stopped, the lead was lost, or a later run took over. */
export type RunResult = 'done' | 'failed' | 'timed-out' | 'cut-short'

/** The outcome of a requested run. */
export interface RunOutcome {
  readonly slot: Date
  /** `skipped`: it never began. */
  readonly result: RunResult | 'skipped'
  readonly error: Error | undefined
}

/** A run that is over. */
export interface LastRun {
  readonly slot: Date
  readonly startedAt: Date
  readonly durationMs: number
  readonly result: RunResult
}

/**
 * - `starting`: the worker is not ready yet;
 * - `waiting-for-leader`: runs on the leader, and this worker does not lead (or has not read yet what ran last);
 * - `scheduled`: its next slot is known;
 * - `running`: a run is under way here;
 * - `paused`: by `pause`, on whichever worker that was called;
 * - `finished`: there will be no further slot;
 * - `stopped`: the worker stops.
 */
export type JobState = 'starting' | 'waiting-for-leader' | 'scheduled' | 'running' | 'paused' | 'finished' | 'stopped'

/** A job on this worker, for people and pages. Counts are those of this worker and run. */
export interface JobView {
  readonly name: string
  readonly kind: 'task' | 'timer' | 'cron'
  /** `'10s'`, `'0 20 * * *'`; empty for tasks. */
  readonly schedule: string
  /** Cron jobs only. */
  readonly timezone: string | undefined
  readonly onLeader: boolean
  readonly state: JobState
  /** In the whole app, whatever the state here: none of its slots runs. */
  readonly paused: boolean
  /** Runs under way, and runs waiting for their turn. */
  readonly active: number
  readonly queued: number
  /** Runs that are over, including failed ones. */
  readonly runs: number
  /** Runs that threw or took too long. */
  readonly failures: number
  /** Slots without a run: an earlier run was still under way, the job was paused, or the worker was away. */
  readonly skipped: number
  readonly lastRun: LastRun | undefined
  /** `undefined` also while the job is paused. */
  readonly nextRun: Date | undefined
  /** Message of the last failure, and when its run began. */
  readonly lastError: { readonly message: string; readonly slot: Date } | undefined
}
