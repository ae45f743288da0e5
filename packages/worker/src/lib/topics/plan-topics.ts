import { MillraceError } from '@millrace/core'
import type { TopicSpec } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'
import type { SubscriptionSpec, TopicDeclaration } from '../contracts/worker-context.ts'

export interface TopicsWanted {
  readonly appId: string
  readonly topics: ReadonlyMap<string, TopicDeclaration>
  readonly subscriptions: readonly SubscriptionSpec[]
  readonly states: readonly StateDefinition[]
  /** Partition counts of the topics that exist. */
  readonly existing: ReadonlyMap<string, number>
  readonly topicPartitions: number
  readonly replicationFactor: number
  /** Whether the app may create topics. Otherwise the plan only lists those that are missing. */
  readonly mayCreate: boolean
}

export interface TopicPlan {
  readonly create: readonly TopicSpec[]
  /** Partition counts of all declared and subscribed topics. */
  readonly topics: ReadonlyMap<string, number>
  readonly states: ReadonlyMap<StateDefinition, number>
  /** Topics whose existing partition count differs from the declared one. */
  readonly differing: readonly { readonly topic: string; readonly declared: number; readonly existing: number }[]
}

/** Plans which topics must be created, and how many partitions everything has. Throws if that is contradictory. */
export function planTopics(wanted: TopicsWanted): TopicPlan {
  const { appId, existing, states, replicationFactor } = wanted
  const declarations = declaredAndSubscribed(wanted)
  if (!wanted.mayCreate)
    for (const [name, declaration] of declarations) declarations.set(name, { ...declaration, create: true })
  const topics = new Map(countTopics(wanted, declarations))
  // Topics that Millrace uses for itself do not determine partition counts of tables.
  const sources = new Map(
    wanted.subscriptions
      .flatMap((subscription) => subscription.topics)
      .filter((topic) => !topic.startsWith(`${appId}-__`) && declarations.get(topic)?.sizedAsState === undefined)
      .map((topic) => [topic, topics.get(topic) ?? 0]),
  )
  const stateCounts = new Map(states.map((state) => [state, statePartitions(state, sources, wanted)]))
  for (const { name, sizedAsState } of declarations.values()) {
    const state = states.find((each) => each.name === sizedAsState)
    if (state !== undefined) topics.set(name, existing.get(name) ?? stateCounts.get(state) ?? 0)
  }
  const create = [...declarations.values()]
    .filter(({ name }) => !existing.has(name))
    .map(({ name, config }) => ({ name, partitions: topics.get(name) ?? 0, replicationFactor, config }))
  for (const [{ changelog }, partitions] of stateCounts)
    if (!existing.has(changelog.topic))
      create.push({ name: changelog.topic, partitions, replicationFactor, config: changelog.config })
  const differing = [...declarations.values()].flatMap(({ name, partitions }) => {
    const found = existing.get(name)
    return partitions === undefined || found === undefined || found === partitions
      ? []
      : [{ topic: name, declared: partitions, existing: found }]
  })
  return { create, topics, states: stateCounts, differing }
}

/**
 * *Table partitions*: the count of the existing changelog; otherwise an explicit count; otherwise that of all source
 * topics, or of those that it is sized as, if they agree; otherwise `topicPartitions` if some source has that count. It
 * must be the count of some source, because the task of a source's partition writes the table.
 */
export function statePartitions(
  state: StateDefinition,
  all: ReadonlyMap<string, number>,
  wanted: Pick<TopicsWanted, 'existing' | 'topicPartitions'>,
): number {
  const { existing, topicPartitions } = wanted
  const sources = new Map([...all].filter(([topic]) => state.sizedAs?.includes(topic) ?? true))
  const counts = new Set(sources.values())
  const found = existing.get(state.changelog.topic)
  const listed = [...sources].map(([topic, count]) => `${topic} ${count}`).join(', ')
  if (found !== undefined && state.partitions !== undefined && found !== state.partitions)
    throw new MillraceError(
      'NOT_COPARTITIONED',
      `Table ${state.name} is declared with ${state.partitions} partitions; its changelog ${state.changelog.topic} has ${found}.`,
    )
  const [only] = counts.size === 1 ? counts : []
  const count =
    found ??
    state.partitions ??
    only ??
    (counts.size === 0 || counts.has(topicPartitions) ? topicPartitions : undefined)
  if (count === undefined)
    throw new MillraceError(
      'NOT_COPARTITIONED',
      `The partition count of table ${state.name} is undecided, because its sources differ: ${listed}. Set partitions on the table.`,
    )
  if (counts.size > 0 && !counts.has(count)) {
    const what = found !== undefined ? `the changelog ${state.changelog.topic} has` : 'it is declared with'
    throw new MillraceError(
      'NOT_COPARTITIONED',
      `Table ${state.name}: ${what} ${count} partitions, which no source topic has: ${listed}.`,
    )
  }
  return count
}

/** A topic that is read but that no part declared must exist. */
function declaredAndSubscribed({ topics, subscriptions }: TopicsWanted): Map<string, TopicDeclaration> {
  const all = new Map(topics)
  for (const name of subscriptions.flatMap((subscription) => subscription.topics))
    if (!all.has(name))
      all.set(name, { name, partitions: undefined, config: {}, create: false, internal: false, keyCodec: undefined })
  return all
}

function countTopics(
  wanted: TopicsWanted,
  declarations: ReadonlyMap<string, TopicDeclaration>,
): ReadonlyMap<string, number> {
  const { existing, topicPartitions, subscriptions } = wanted
  const counts = new Map<string, number>()
  const open: TopicDeclaration[] = []
  for (const declaration of declarations.values()) {
    const count = existing.get(declaration.name) ?? declaration.partitions
    if (declaration.sizedAsState !== undefined) continue
    if (count !== undefined && (declaration.create || existing.has(declaration.name)))
      counts.set(declaration.name, count)
    else if (!declaration.create) throw missing(declaration.name, subscriptions)
    else if (declaration.internal || declaration.sizedAs !== undefined) open.push(declaration)
    else counts.set(declaration.name, topicPartitions)
  }
  // A repartition topic has as many partitions as the topics that its agent reads, so that work spreads as before;
  // other topics name those that they are sized as.
  for (const { name, sizedAs } of open) {
    const agents = new Set(subscriptions.filter(({ topics }) => topics.includes(name)).map(({ agent }) => agent))
    const siblings = sizedAs ?? subscriptions.filter(({ agent }) => agents.has(agent)).flatMap(({ topics }) => topics)
    const known = siblings.flatMap((topic) => (topic === name ? [] : (counts.get(topic) ?? [])))
    counts.set(name, known.length > 0 ? Math.max(...known) : topicPartitions)
  }
  return counts
}

function missing(topic: string, subscriptions: readonly SubscriptionSpec[]): MillraceError {
  const agents = [...new Set(subscriptions.filter(({ topics }) => topics.includes(topic)).map(({ agent }) => agent))]
  const readers = agents.length > 0 ? `, which agent ${agents.join(', ')} reads,` : ''
  return new MillraceError('TOPIC_MISSING', `Topic ${topic}${readers} does not exist, and the app does not create it.`)
}
