import { MillraceError, type Scheduled, toError } from '@millrace/core'
import type { LastRun, RunResult } from '@millrace/core/operations'
import type { ContextStorage, WorkerContext } from '@millrace/worker'
import { describeJob, type Job } from '../jobs/job.ts'
import type { Run } from './run.ts'

export interface ExecuteRunOptions {
  readonly worker: WorkerContext
  readonly contexts: ContextStorage
  readonly job: Job
}

/** An ended run, and why it failed if it did. */
export interface CarriedOut {
  readonly last: LastRun
  readonly error: Error | undefined
}

/** Waits for the run's delay and claims its slot. False if it must not begin. Never rejects. */
export async function mayBegin(run: Run, { worker, job }: ExecuteRunOptions): Promise<boolean> {
  const { signal } = run.abort
  try {
    if (run.delayMs > 0) await worker.clock.sleep(run.delayMs, signal)
    if (run.registry !== undefined && !(await run.registry.claim(job.name, run.slotMs))) return false
  } catch (thrown) {
    const fields = { job: job.name, slot: run.slot.toISOString(), error: toError(thrown).message }
    worker.log.debug(fields, `A run of ${describeJob(job)} did not begin.`)
    return false
  }
  return !signal.aborted
}

/** Calls the job's function in the worker's contexts, limited by its timeout. Never rejects. */
export async function executeRun(run: Run, { worker, contexts, job }: ExecuteRunOptions): Promise<CarriedOut> {
  const { clock } = worker
  const startedAt = new Date(clock.now())
  const startedMs = clock.monotonic()
  const timer = startTimeout(run, { worker, job })
  let thrown: Error | undefined
  try {
    const leaderJob = job.onLeader ? { leaderJob: job.name } : {}
    const work = { client: worker, worker, event: undefined, agent: undefined, ...leaderJob }
    const { tracing } = worker.sensor
    const call = (): unknown => job.fn({ job: job.name, slot: run.slot, signal: run.abort.signal })
    const { name, kind } = job
    const traced = { name, kind, slot: run.slot, app: worker.appId, worker: worker.id }
    await contexts.run(work, () => (tracing === undefined ? call() : tracing.job(traced, call)))
  } catch (caught) {
    thrown = toError(caught)
  }
  timer?.cancel()
  const result = resultOf(run, { job, threw: thrown !== undefined })
  const durationMs = clock.monotonic() - startedMs
  return { last: { slot: run.slot, startedAt, durationMs, result }, error: run.timedOut ? timeoutError(job) : thrown }
}

function startTimeout(run: Run, { worker, job }: Pick<ExecuteRunOptions, 'worker' | 'job'>): Scheduled | undefined {
  if (job.timeoutMs === undefined) return undefined
  return worker.clock.schedule(job.timeoutMs, () => {
    if (run.abort.signal.aborted) return
    run.timedOut = true
    run.abort.abort(timeoutError(job))
  })
}

function resultOf(run: Run, { job, threw }: { readonly job: Job; readonly threw: boolean }): RunResult {
  if (run.timedOut) return 'timed-out'
  if (!run.abort.signal.aborted) return threw ? 'failed' : 'done'
  // An aborted task that returns has not finished its work. Any other job has, unless it threw.
  return threw || job.kind === 'task' ? 'cut-short' : 'done'
}

function timeoutError(job: Job): MillraceError {
  return new MillraceError('JOB_TIMEOUT', `The run of ${describeJob(job)} took longer than ${job.timeoutMs} ms.`)
}
