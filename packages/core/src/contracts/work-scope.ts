import type { AsyncLocalStorage } from 'node:async_hooks'
import type { EventScope } from './scope.ts'
import type { ClientContext, WorkerContext } from './worker-context.ts'

/** Who is at work here: kept in one `AsyncLocalStorage` owned by the app. */
export interface WorkScope {
  readonly client: ClientContext
  /** `undefined` in commands and clients, which have no worker. */
  readonly worker: WorkerContext | undefined
  /** The event in hand, open or not; `undefined` outside agents and between events. */
  readonly event: EventScope | undefined
  /** Inside an agent: its name. A write outside an event is then `NO_CURRENT_EVENT` rather than `WRITE_OUTSIDE_AGENT`. */
  readonly agent: string | undefined
}

export type ScopeStorage = AsyncLocalStorage<WorkScope>
