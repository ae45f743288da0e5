/** A job as a running worker reports it at `/jobs/`: `JobView` with times in ISO 8601. */
export interface RunningJob {
  readonly name: string
  readonly state: string
  readonly paused: boolean
  readonly lastRun: ReportedRun | undefined
  readonly nextRun: string | undefined
}

interface ReportedRun {
  readonly startedAt: string
  readonly durationMs: number
  readonly result: string
}

/**
 * The jobs in a worker's answer. The worker may run another version, so entries that do not look like jobs are left
 * out.
 */
export function runningJobs(answer: unknown): readonly RunningJob[] {
  return Array.isArray(answer) ? answer.flatMap((each: unknown) => runningJob(each) ?? []) : []
}

function runningJob(value: unknown): RunningJob | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, state, paused, lastRun, nextRun }: Partial<Record<keyof RunningJob, unknown>> = value
  if (typeof name !== 'string' || typeof state !== 'string') return undefined
  return { name, state, paused: paused === true, lastRun: reportedRun(lastRun), nextRun: text(nextRun) }
}

function reportedRun(value: unknown): ReportedRun | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { startedAt, durationMs, result }: Partial<Record<keyof ReportedRun, unknown>> = value
  if (typeof startedAt !== 'string' || typeof durationMs !== 'number' || typeof result !== 'string') return undefined
  return { startedAt, durationMs, result }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
