import type { JobDescription } from '@millrace/core'
import type { Job } from '../jobs/job.ts'
import { describeSchedule } from '../runs/describe-schedule.ts'
import { nextSlot } from './next-slot.ts'

/**
 * A job as its definition has it, without a worker.
 *
 * @param nowMs Unix milliseconds after which the next run is looked for
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
