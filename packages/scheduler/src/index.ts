/// <reference types="node" preserve="true" />
export { createCrontab } from './lib/jobs/create-crontab.ts'
export { createTask } from './lib/jobs/create-task.ts'
export { createTimer } from './lib/jobs/create-timer.ts'
export type { CatchUp, CronJob, Job, JobContext, JobFunction, Overlap, TaskJob, TimerJob } from './lib/jobs/job.ts'
export type { CrontabOptions, TaskOptions, TimerOptions } from './lib/jobs/job-options.ts'
export type { SchedulerDeps } from './lib/scheduler-deps.ts'
export { describeJobPlan } from './lib/schedule/describe-job-plan.ts'
export { schedulerPart, schedulerTopic, type SchedulerPart } from './lib/scheduler-part.ts'
