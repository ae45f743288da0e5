import { dueSubscription, MillraceError, repartitionTopic } from '@millrace/core'
import type { CurrentEvent, DueSource, TopicDeclaration, WorkerContext } from '@millrace/worker'
import type { AgentContext, FinishedAs } from '../events/agent-context.ts'
import type { DueIn, StreamOrigin, InFlight } from '../events/in-flight.ts'
import { isForAnother } from '../events/replay-mark.ts'
import type { EventSource } from '../events/source.ts'
import { UNTIL_READ } from '../topics/create-topic.ts'
import type { OpenSourceOptions, OtherSource, PlannedSource, SourcePlan } from '../topics/source-plan.ts'
import { QueueSource } from './topic-source.ts'

/** The due events of a state, as an agent reads them. Nothing can be sent there. */
export class DueReader implements PlannedSource<never>, OtherSource {
  readonly name: string
  readonly due: DueSource<unknown, unknown>
  readonly #agent: string

  constructor(agent: string, due: DueSource<unknown, unknown>) {
    this.name = due.name
    this.due = due
    this.#agent = agent
    due.readBy(agent)
  }

  planFor(plan: SourcePlan<never>): void {
    plan.other(`due ${this.name}`, this)
  }

  open(context: AgentContext, { topology, instances, ordering }: OpenSourceOptions): readonly EventSource[] {
    const { agent, worker } = context
    const subscription = dueSubscription(agent, this.name)
    const replays = replayTopic(repartitionTopic(worker.appId, subscription), this.name)
    topology.topic(replays)
    const origins = new Map([
      [this.name, new DueOrigin(this.due, context)],
      [replays.name, new ReplayedOrigin(this.due, context, replays.name)],
    ])
    const where = `what is due in "${this.name}"`
    return topology
      .subscribe({ id: subscription, topics: [replays.name], agent, instances, ordering, due: this.due.due })
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

/**
 * The topic through which dead letters are replayed: events that were due are in the state no more. They come back in their
 * task, so that the handler finds the rows of their keys.
 */
function replayTopic(name: string, state: string): TopicDeclaration {
  return {
    name,
    partitions: undefined,
    sizedAsState: state,
    config: UNTIL_READ,
    create: true,
    internal: true,
    purge: true,
    untimed: true,
    keyCodec: undefined,
  }
}

/** The due events of one state, for one agent. */
class DueOrigin implements StreamOrigin {
  readonly context: AgentContext
  readonly valueSpec: undefined = undefined
  readonly tombstones = false
  readonly due: DueIn
  readonly #source: DueSource<unknown, unknown>

  constructor(source: DueSource<unknown, unknown>, context: AgentContext) {
    this.context = context
    this.#source = source
    this.due = { state: source.name, kind: source.kind }
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

  passOver(_event: InFlight, current: CurrentEvent | undefined): FinishedAs | undefined {
    const due = current?.task.open(this.#source.due)?.due
    return current !== undefined && due?.claim?.(current) === false ? 'leftToOthers' : undefined
  }
}

/** Events that were due before, and whose dead letters are replayed. Nothing is left of them in the state. */
class ReplayedOrigin extends DueOrigin {
  readonly #topic: string

  constructor(source: DueSource<unknown, unknown>, context: AgentContext, topic: string) {
    super(source, context)
    this.#topic = topic
  }

  override passOver({ record: { headers } }: InFlight): FinishedAs | undefined {
    const { agent, worker } = this.context
    const isOthers = isForAnother(headers, { appId: worker.appId, agent, topic: this.#topic })
    return isOthers ? 'leftToOthers' : undefined
  }
}
