/// <reference types="node" preserve="true" />
export { AppAgents } from './lib/app-agents.ts'
export { AppScheduler } from './lib/app-scheduler.ts'
export { declareJobs, type JobDeclarations } from './lib/declare-jobs.ts'
export { createCrontab, createTask, createTimer } from './lib/jobs/create-jobs.ts'
export { describeJobPlan } from './lib/jobs/describe-job-plan.ts'
export type { CatchUp, CronJob, Job, JobContext, JobFunction, Overlap, TaskJob, TimerJob } from './lib/jobs/job.ts'
export type { CrontabOptions, TaskOptions, TimerOptions } from './lib/jobs/job-options.ts'
export {
  type AgentPause,
  type PausableAgents,
  schedulerDeclaration,
  schedulerPart,
  type SchedulerContext,
  type SchedulerPart,
} from './lib/scheduler-part.ts'
export type { PauseNote } from './lib/pauses/pause.ts'
