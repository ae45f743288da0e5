/** How a run ended: `cut-short` when the worker stopped, the lead was lost, or a later run took over. */
export type RunResult = 'done' | 'failed' | 'timed-out' | 'cut-short'

/** What came of a run that was asked for. */
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

/** A job on this worker, as people and pages see it. Counts are of this worker and run. */
export interface JobView {
  readonly name: string
  readonly kind: 'task' | 'timer' | 'cron'
  /** `'10s'`, `'0 20 * * *'`; empty for tasks. */
  readonly schedule: string
  /** Cron jobs only. */
  readonly timezone: string | undefined
  readonly onLeader: boolean
  readonly state: JobState
  /** In the whole app, whatever the state here: no slot of it runs. */
  readonly paused: boolean
  /** Runs under way and waiting for their turn. */
  readonly active: number
  readonly queued: number
  /** Runs that are over, failed ones included. */
  readonly runs: number
  /** Runs that threw or took too long. */
  readonly failures: number
  /** Slots that did not run: the job still ran, was paused, or the worker was away. */
  readonly skipped: number
  readonly lastRun: LastRun | undefined
  /** `undefined` also while the job is paused. */
  readonly nextRun: Date | undefined
  /** Message of the last failure, and when its run began. */
  readonly lastError: { readonly message: string; readonly slot: Date } | undefined
}
