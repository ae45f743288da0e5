import type { StoreDriver } from '@millrace/core/driver'
import type { WorkerPart } from '../contracts/worker-context.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'

export interface WorkerOptions extends WorkerEnvironment {
  /** Closed by the worker. */
  readonly store: StoreDriver
  /** Called in this order; stopped in reverse. */
  readonly parts: readonly WorkerPart[]
  /** The address at which other workers reach this one; called at every join. */
  readonly webAddress?: () => string | undefined
}
