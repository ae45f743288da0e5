/// <reference types="node" preserve="true" />
export { AppScheduler } from './lib/app-scheduler.ts'
export { declareJobs, type JobDeclarations } from './lib/declare-jobs.ts'
export { createCrontab, createTask, createTimer } from './lib/jobs/create-jobs.ts'
export { describeJobPlan } from './lib/jobs/describe-job-plan.ts'
export type { CatchUp, CronJob, Job, JobContext, JobFunction, Overlap, TaskJob, TimerJob } from './lib/jobs/job.ts'
export type { CrontabOptions, TaskOptions, TimerOptions } from './lib/jobs/job-options.ts'
export { schedulerPart, type SchedulerContext, type SchedulerPart, schedulerTopics } from './lib/scheduler-part.ts'
