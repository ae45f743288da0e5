import type { AsyncLocalStorage } from 'node:async_hooks'
import type { CurrentEvent } from './event.ts'
import type { ClientContext, WorkerContext } from './worker-context.ts'

/** In whose course code runs: kept in one `AsyncLocalStorage` that the app owns. */
export interface ProcessingContext {
  readonly client: ClientContext
  /** `undefined` in commands and clients, which have no worker. */
  readonly worker: WorkerContext | undefined
  /** The current event, open or not; `undefined` outside agents and between events. */
  readonly event: CurrentEvent | undefined
  /** Inside an agent: its name. A write outside an event is then `NO_CURRENT_EVENT` rather than `WRITE_OUTSIDE_AGENT`. */
  readonly agent: string | undefined
}

export type ContextStorage = AsyncLocalStorage<ProcessingContext>
