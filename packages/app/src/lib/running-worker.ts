import type { SchedulerPart } from '@millrace/scheduler'
import type { SiteWorker, WebPart } from '@millrace/web'
import type { Worker } from '@millrace/worker'
import type { AppStats } from './app-stats.ts'

/** A worker of this process, with the parts that are asked for by name. */
export interface RunningWorker {
  readonly worker: Worker
  readonly scheduler: SchedulerPart
  /** As its web site sees it. */
  readonly site: { stats(): AppStats } & SiteWorker
  /** `undefined` when it serves none. */
  readonly web: WebPart | undefined
}
