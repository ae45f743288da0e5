import { formatDuration } from '@millrace/core'
import type { Job } from '../jobs/job.ts'

/** When a job runs, in words as short as its definition. */
export function describeSchedule(job: Job): string {
  if (job.kind === 'task') return ''
  return job.kind === 'timer' ? formatDuration(job.everyMs) : job.expression
}
