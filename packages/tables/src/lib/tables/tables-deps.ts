import type { ScopeStorage, WorkerContext } from '@millrace/core'

/** What tables need of the app that they belong to. */
export interface TablesDeps {
  readonly appId: string
  readonly scope: ScopeStorage
  /** The workers that run in this process. */
  readonly workers: () => readonly WorkerContext[]
}
