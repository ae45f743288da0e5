import type { CurrentEvent, ProcessingContext, WorkerContext } from '@millrace/worker'
import type { AgentContext } from './agent-context.ts'
import { StreamEvent } from './stream-event.ts'

/**
 * An agent without a current event: the context of its code before the first event, and while it waits for the next.
 * Code that has waited continues with the event that came.
 */
export class BetweenEvents implements ProcessingContext {
  readonly worker: WorkerContext
  readonly agent: string
  /** The event that was awaited, once it has come. */
  received: StreamEvent | undefined = undefined

  constructor({ worker, agent }: Pick<AgentContext, 'worker' | 'agent'>) {
    this.worker = worker
    this.agent = agent
  }

  get client(): WorkerContext {
    return this.worker
  }

  get event(): CurrentEvent | undefined {
    return this.received?.event
  }
}

/**
 * The event of a stream in whose context this code runs, open or not; `undefined` outside agents and between events.
 */
export function currentEvent(work: ProcessingContext | undefined): StreamEvent | undefined {
  if (work instanceof StreamEvent) return work
  return work instanceof BetweenEvents ? work.received : undefined
}
