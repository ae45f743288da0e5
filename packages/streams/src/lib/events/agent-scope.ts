import type { EventScope, WorkerContext, WorkScope } from '@millrace/core'
import type { Delivery } from './delivery.ts'

/**
 * Who is at work inside an agent. One object for each event, so that work that floats past its event still finds the
 * scope of the event it came from, by then closed, and not that of the next one.
 */
export class AgentScope implements WorkScope {
  readonly worker: WorkerContext
  readonly agent: string
  event: EventScope | undefined
  delivery: Delivery | undefined

  constructor(worker: WorkerContext, agent: string, delivery: Delivery | undefined) {
    this.worker = worker
    this.agent = agent
    this.delivery = delivery
    this.event = delivery?.event
  }

  get client(): WorkerContext {
    return this.worker
  }

  /** For a scope that was entered before its event had come. */
  receive(delivery: Delivery): void {
    this.delivery = delivery
    this.event = delivery.event
  }
}
