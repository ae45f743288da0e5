import { MillraceError } from '@millrace/core'
import type { CurrentEvent, DueSource, WorkerContext } from '@millrace/worker'
import type { AgentContext } from '../events/agent-context.ts'
import type { StreamOrigin, InFlight } from '../events/in-flight.ts'
import type { EventSource } from '../events/source.ts'
import type { OpenSourceOptions, OtherSource, PlannedSource, SourcePlan } from '../topics/source-plan.ts'
import { QueueSource } from './topic-source.ts'

/** The due events of a state, as an agent reads them. Nothing can be sent there. */
export class DueReader implements PlannedSource<never>, OtherSource {
  readonly name: string
  readonly source: DueSource<unknown, unknown>
  readonly #agent: string

  constructor(agent: string, source: DueSource<unknown, unknown>) {
    this.name = source.name
    this.source = source
    this.#agent = agent
    source.readBy(agent)
  }

  planFor(plan: SourcePlan<never>): void {
    plan.other(`due ${this.name}`, this)
  }

  open(context: AgentContext, { topology, instances, ordering }: OpenSourceOptions): readonly EventSource[] {
    const { agent } = context
    const origins = new Map([[this.name, new DueOrigin(this.source, context)]])
    const subscription = `${agent}-due-${this.name}`
    const where = `what is due in "${this.name}"`
    return topology
      .subscribe({ id: subscription, topics: [], agent, instances, ordering, due: this.source.due })
      .map(
        (queue) =>
          new QueueSource(queue, { where, subscription, valueSpec: undefined, keys: undefined, origins }, context),
      )
  }

  /** Nothing to do: the worker closes the queues. */
  close(_worker: WorkerContext): void {}

  readonly relay = (): never => {
    throw this.#nowhere()
  }

  readonly forwardFrom = (): never => {
    throw this.#nowhere()
  }

  async send(): Promise<never> {
    throw this.#nowhere()
  }

  async post(): Promise<never> {
    throw this.#nowhere()
  }

  #nowhere(): MillraceError {
    return new MillraceError(
      'DEFINITION_INVALID',
      `Nothing can be sent to agent "${this.#agent}": it reads the due events of "${this.name}", and no topic.`,
    )
  }
}

/** The due events of one state, for one agent. */
class DueOrigin implements StreamOrigin {
  readonly context: AgentContext
  readonly valueSpec: undefined = undefined
  readonly tombstones = false
  readonly #source: DueSource<unknown, unknown>

  constructor(source: DueSource<unknown, unknown>, context: AgentContext) {
    this.context = context
    this.#source = source
  }

  keyOf({ record }: InFlight): unknown {
    return this.#source.keyOf(record)
  }

  valueOf({ record }: InFlight): unknown {
    return this.#source.valueOf(record)
  }

  requestOf(): undefined {
    return undefined
  }

  isPassedOver(_event: InFlight, current: CurrentEvent | undefined): boolean {
    if (current === undefined) return false
    const due = current.task.open(this.#source.due)?.due
    return due?.claim?.(current) === false
  }
}
