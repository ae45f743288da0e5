import type { Job } from '../jobs/job.ts'
import type { Beginning } from '../runs/job-runner.ts'
import { CronTimetable } from '../timetables/cron-timetable.ts'
import { TimerTimetable } from '../timetables/timer-timetable.ts'
import { LATE_LIMIT_MS, type Moment } from '../timetables/timetable.ts'
import type { JobRecord } from './job-record.ts'

/** How a job goes on under a new leader, from what the leaders before have noted. */
export function beginOnLeader(
  job: Job,
  record: JobRecord | undefined,
  { now, groupLife }: { readonly now: Moment; readonly groupLife: string },
): Omit<Beginning, 'book'> {
  const open = record?.open ?? []
  const runsBefore = record?.runs ?? 0
  switch (job.kind) {
    case 'task': {
      const ranInThisLife = record !== undefined && record.life === groupLife
      const slots = ranInThisLife ? open : [Math.max(now.wallMs, (record?.upToMs ?? 0) + 1)]
      return { timetable: undefined, slots, runsBefore }
    }
    case 'timer': {
      const timetable =
        record === undefined
          ? TimerTimetable.from(job.everyMs, now)
          : TimerTimetable.after(job.everyMs, record.upToMs, now)
      return { timetable, slots: open, runsBefore }
    }
    case 'cron': {
      const { wallMs } = now
      const upToMs = record?.upToMs ?? wallMs
      const fromMs = job.catchUp === 'none' ? Math.max(upToMs, wallMs - LATE_LIMIT_MS) : upToMs
      return { timetable: new CronTimetable(job, fromMs), slots: open, runsBefore }
    }
  }
}
