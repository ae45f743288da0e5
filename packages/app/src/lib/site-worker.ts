import type { SchedulerPart } from '@millrace/scheduler'
import type { SiteWorker, WebPart } from '@millrace/web'
import type { Worker } from '@millrace/worker'

/** What a site shows of a worker. `worker` is asked for when it is needed: parts are made before it. */
export function siteWorker(
  worker: () => Worker,
  parts: { readonly scheduler: SchedulerPart; readonly web: () => WebPart | undefined; readonly startedAt: Date },
): SiteWorker {
  return {
    get context() {
      return worker().context
    },
    startedAt: parts.startedAt,
    stats: () => worker().stats(),
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
