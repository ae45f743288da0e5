import type { JobFunction, TaskJob } from './job.ts'
import { type TaskOptions, TASK_OPTIONS } from './job-options.ts'
import { jobName, readCommon } from './read-options.ts'

/**
 * A job that runs once, when the worker has joined and recovered.
 *
 * @throws `NAME_INVALID`, `DURATION_INVALID`, `DEFINITION_INVALID`, naming the job
 * @example
 * createTask({ onLeader: true }, async function seed({ signal }) { … })
 */
export function createTask(options: TaskOptions, fn: JobFunction): TaskJob {
  const name = jobName('task', { options, known: TASK_OPTIONS }, fn)
  return { kind: 'task', fn, ...readCommon('task', name, options) }
}
