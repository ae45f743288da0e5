import type { ContextStorage } from '@millrace/core'

/** What the scheduler needs of its composition root. Everything else it has from the worker. */
export interface SchedulerDeps {
  readonly appId: string
  readonly scope: ContextStorage
  /** For `jitter`: from 0 to below 1. Default `Math.random`. */
  readonly random?: () => number
}
