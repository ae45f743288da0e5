import type { SchedulerPart } from '@millrace/scheduler'
import type { AgentsPart } from '@millrace/streams'
import type { SiteWorker, WebPart } from '@millrace/web'
import type { Worker } from '@millrace/worker'
import { withAgents, type AppStats } from './app-stats.ts'

/** What a site shows of a worker. `worker` is asked for when it is needed: parts are made before it. */
export function siteWorker(
  worker: () => Worker,
  parts: {
    readonly agents: Pick<AgentsPart, 'counts' | 'handling' | 'histograms'>
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
    stats: () => withAgents(worker().stats(), parts.agents),
    histograms: () => ({ agents: parts.agents.histograms(), commits: worker().stats().commits.durations }),
    assignment: () => worker().assignment(),
    jobs: () => parts.scheduler.jobs(),
    trigger: (job) => parts.scheduler.trigger(job),
    pause: (job) => parts.scheduler.pause(job),
    resume: (job) => parts.scheduler.resume(job),
    address: () => parts.web()?.address(),
  }
}
