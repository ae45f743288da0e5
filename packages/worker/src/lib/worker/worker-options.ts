import type { StoreDriver, WorkerPart } from '@millrace/core'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'

export interface WorkerOptions extends WorkerEnvironment {
  /** Closed by the worker. */
  readonly store: StoreDriver
  /** Called in this order; stopped in reverse. */
  readonly parts: readonly WorkerPart[]
  /** Where other workers reach this one; asked at every join. */
  readonly webAddress?: () => string | undefined
}
