import type { ScopeStorage, WorkerContext } from '@millrace/core'
import type { HandlingTimes } from '../agents/handling-times.ts'
import type { AgentScope } from '../events/agent-scope.ts'
import type { Delivery } from '../events/delivery.ts'
import type { Inlet } from './inlet.ts'
import type { Step } from './step.ts'
import type { Turns } from './wakeup.ts'

/** Events of one inlet and the steps they go through. */
export interface Branch {
  readonly inlet: Inlet
  readonly steps: readonly Step[]
}

/** What a reader tells and asks of the run of the handler it reads for. */
export interface ReaderHost {
  readonly storage: ScopeStorage
  readonly worker: WorkerContext
  readonly agent: string
  /** The handler run has ended, or the worker has failed: nothing more is handed out. */
  readonly over: boolean
  /** Of the handler's events; `undefined` for steps between topics. */
  readonly times: HandlingTimes | undefined
  /** Of the loops over branches; `undefined` where there is one loop. */
  readonly turns: Turns | undefined
  /** The scope that the user's code is in from now on. */
  entered(scope: AgentScope): void
  /** The next event is asked for. */
  asked(): void
  /** An event was handed out that only `event.ack()` finishes. */
  loosed(delivery: Delivery): void
  /** A step or the decoder failed on an event: settles what becomes of it. */
  failed(delivery: Delivery, error: unknown): Promise<void>
}
