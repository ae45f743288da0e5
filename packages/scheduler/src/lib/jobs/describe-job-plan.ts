import { formatDuration } from '@millrace/core'
import type { JobDescription } from '@millrace/core/operations'
import { nextSlot } from '../schedule/next-slot.ts'
import type { Job } from './job.ts'

/**
 * A job as defined, without a worker.
 *
 * @param nowMs Unix milliseconds; the next run is after this time
 * @example
 * describeJobPlan(createTimer('10s', wake), Date.now()).schedule // '10s'
 */
export function describeJobPlan(job: Job, nowMs: number): JobDescription {
  const { name, kind, onLeader } = job
  return {
    name,
    kind,
    schedule: describeSchedule(job),
    timezone: kind === 'cron' ? job.schedule.zone.name : undefined,
    onLeader,
    nextRunMs: kind === 'cron' ? nextSlot(job.schedule, nowMs) : undefined,
  }
}

/** When a job runs, in a short form of its definition. */
export function describeSchedule(job: Job): string {
  if (job.kind === 'task') return ''
  return job.kind === 'timer' ? formatDuration(job.everyMs) : job.expression
}
