import { MillraceError } from '@millrace/core'
import type { SubscriptionQueue } from '../contracts/event.ts'
import type { Candidate } from '../contracts/group.ts'
import type { StateDefinition } from '../contracts/task.ts'
import type { SubscriptionSpec, TopicDeclaration, Topology, WaitForTask } from '../contracts/worker-context.ts'
import { SubscriptionOrders } from './subscription-orders.ts'

/** The agent name of the leader topic, which nobody reads. */
export const LEADER_AGENT = '__leader'

/**
 * Name of the topic whose single partition decides who leads the group: its owner does. Nothing is ever written to it.
 */
export function leaderTopic(appId: string): string {
  return `${appId}-__assignor-__leader`
}

export function leaderDeclaration(appId: string): TopicDeclaration {
  const name = leaderTopic(appId)
  return { name, partitions: 1, config: {}, create: true, internal: true, keyCodec: undefined }
}

/** What the parts of a worker have declared; open until `freeze`. */
export class DeclaredTopology implements Topology {
  readonly topics: Map<string, TopicDeclaration> = new Map()
  readonly subscriptions: SubscriptionSpec[] = []
  readonly states: StateDefinition[] = []
  readonly candidates: Candidate[] = []
  readonly waits: WaitForTask[] = []
  readonly orders: SubscriptionOrders = new SubscriptionOrders()
  /** Which subscription reads which state. */
  readonly reading: (readonly [subscription: string, state: StateDefinition])[] = []
  readonly #appId: string
  readonly #makeQueues: (spec: SubscriptionSpec) => readonly SubscriptionQueue[]
  #frozen = false

  constructor(appId: string, makeQueues: (spec: SubscriptionSpec) => readonly SubscriptionQueue[]) {
    this.#appId = appId
    this.#makeQueues = makeQueues
  }

  /** Ends declarations: later ones throw `TOPOLOGY_LATE`. Throws `JOIN_CYCLE`. */
  freeze(): void {
    this.orders.arrange()
    this.#frozen = true
  }

  topic(declaration: TopicDeclaration): void {
    const known = this.topics.get(declaration.name)
    if (known !== undefined && sameTopic(known, declaration)) return
    this.#mustBeOpen(`topic ${declaration.name}`)
    // Two parts that use one topic may each know something about it.
    this.topics.set(declaration.name, known === undefined ? declaration : merged(known, declaration))
  }

  subscribe(spec: SubscriptionSpec): readonly SubscriptionQueue[] {
    this.#mustBeOpen(`subscription ${spec.id} of agent ${spec.agent}`)
    if (this.subscriptions.some(({ id }) => id === spec.id))
      throw new MillraceError('NAME_TAKEN', `Two subscriptions have the id ${spec.id} (agent ${spec.agent}).`)
    if (!Number.isInteger(spec.instances) || spec.instances < 1)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Agent ${spec.agent} has a concurrency of ${spec.instances}; it must be 1 or more.`,
      )
    if (spec.due !== undefined && this.subscriptions.some(({ due }) => due === spec.due))
      throw new MillraceError(
        'NAME_TAKEN',
        `Two agents read the due events of ${spec.due.name}; one of them is ${spec.agent}.`,
      )
    this.subscriptions.push(spec)
    return this.#makeQueues(spec)
  }

  state(state: StateDefinition): void {
    if (this.states.includes(state)) return
    this.#mustBeOpen(`table ${state.name}`)
    if (this.states.some(({ name }) => name === state.name))
      throw new MillraceError('NAME_TAKEN', `Two tables have the name ${state.name}.`)
    this.states.push(state)
  }

  order(first: string, then: string): void {
    if (this.orders.has(first, then)) return
    this.#mustBeOpen(`the order of ${first} and ${then}`)
    this.orders.add(first, then)
  }

  reads(subscription: string, state: StateDefinition): void {
    if (this.reading.some(([id, read]) => id === subscription && read === state)) return
    this.#mustBeOpen(`a reader of table ${state.name}`)
    this.reading.push([subscription, state])
  }

  lead(candidate: Candidate): void {
    this.#mustBeOpen("a candidate for the group's leader")
    this.candidates.push(candidate)
    if (this.candidates.length > 1) return
    const topic = leaderDeclaration(this.#appId)
    this.topic(topic)
    // Subscribed only so that the group assigns the partition; nobody reads it.
    this.subscribe({ id: LEADER_AGENT, topics: [topic.name], agent: LEADER_AGENT, instances: 1, ordering: 'none' })
  }

  beforeTask(wait: WaitForTask): void {
    this.#mustBeOpen('a wait of tasks')
    this.waits.push(wait)
  }

  #mustBeOpen(what: string): void {
    if (this.#frozen) throw new MillraceError('TOPOLOGY_LATE', `Too late to declare ${what}.`)
  }
}

function sameTopic(a: TopicDeclaration, b: TopicDeclaration): boolean {
  return (
    a.partitions === b.partitions &&
    a.create === b.create &&
    a.internal === b.internal &&
    (a.purge ?? false) === (b.purge ?? false) &&
    (a.untimed ?? false) === (b.untimed ?? false) &&
    a.keyCodec === b.keyCodec &&
    a.sizedAsState === b.sizedAsState &&
    JSON.stringify(a.sizedAs) === JSON.stringify(b.sizedAs) &&
    JSON.stringify(a.timeOf) === JSON.stringify(b.timeOf) &&
    JSON.stringify(a.config) === JSON.stringify(b.config)
  )
}

function merged(a: TopicDeclaration, b: TopicDeclaration): TopicDeclaration {
  if (a.partitions !== undefined && b.partitions !== undefined && a.partitions !== b.partitions)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Topic ${a.name} is declared with ${a.partitions} and with ${b.partitions} partitions.`,
    )
  const timeOf = [...new Set([...(a.timeOf ?? []), ...(b.timeOf ?? [])])]
  const sizedAs = [...(a.sizedAs ?? []), ...(b.sizedAs ?? [])]
  return {
    name: a.name,
    partitions: a.partitions ?? b.partitions,
    ...(sizedAs.length === 0 ? {} : { sizedAs }),
    sizedAsState: a.sizedAsState ?? b.sizedAsState,
    ...(timeOf.length === 0 ? {} : { timeOf }),
    config: { ...a.config, ...b.config },
    create: a.create || b.create,
    internal: a.internal && b.internal,
    // A topic that one declaration names without `purge` may be read by another group.
    purge: a.purge === true && b.purge === true,
    untimed: a.untimed === true && b.untimed === true,
    keyCodec: a.keyCodec ?? b.keyCodec,
  }
}
