import type { SchedulerPart } from '@millrace/scheduler'
import type { AgentsPart } from '@millrace/streams'
import type { SiteWorker, WebPart } from '@millrace/web'
import type { Worker } from '@millrace/worker'
import { withDeadLetters, type AppStats } from './app-stats.ts'

/** What a site shows of a worker. `worker` is asked for when it is needed: parts are made before it. */
export function siteWorker(
  worker: () => Worker,
  parts: {
    readonly agents: Pick<AgentsPart, 'counts'>
    readonly scheduler: SchedulerPart
    readonly web: () => WebPart | undefined
    readonly startedAt: Date
  },
): { stats(): AppStats } & SiteWorker {
  return {
    get context() {
      return worker().context
    },
    startedAt: parts.startedAt,
    stats: () => withDeadLetters(worker().stats(), parts.agents.counts()),
    assignment: () => worker().assignment(),
    jobs: () =>
      parts.scheduler.jobs().map((job) => ({
        ...job,
        lastRun: job.lastRun?.startedAt,
        lastDurationMs: job.lastRun?.durationMs,
        lastResult: job.lastRun?.result,
        lastError: job.lastError?.message,
      })),
    address: () => parts.web()?.address(),
  }
}
