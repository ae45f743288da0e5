import { type CommitOffset, didYouMean, MillraceError, partitionsOf, type ResolvedSettings } from '@millrace/core'
import type { Admin, PartitionOffsets, PartitionPosition } from '@millrace/core/driver'
import type { AppTopic, ResetRequest, ResetTopic } from '@millrace/core/operations'

/** The facts that decide what a reset does with a topic. */
export interface TopicFacts {
  readonly topic: AppTopic
  readonly bounds: readonly PartitionOffsets[]
  /** The group has committed offsets in it. */
  readonly committed: boolean
  /** For each partition, the first record that is not older than the requested time; empty without a requested time. */
  readonly positions: readonly PartitionPosition[]
}

export interface ResetRules {
  readonly request: ResetRequest
  readonly offsetReset: ResolvedSettings['offsetReset']
}

/** Asks the broker for these facts. */
export async function topicFacts(
  admin: Pick<Admin, 'offsets' | 'offsetsAt' | 'committed'>,
  topics: readonly AppTopic[],
  { groupId, to }: { readonly groupId: string } & Pick<ResetRequest, 'to'>,
): Promise<readonly TopicFacts[]> {
  const partitions = topics.flatMap(({ name, partitions: count }) => partitionsOf(name, count))
  // Includes uncommitted records: skipped records are not read, however their transaction ends.
  const [bounds, committed, positions]: [
    readonly PartitionOffsets[],
    readonly CommitOffset[],
    readonly PartitionPosition[],
  ] = await Promise.all([
    admin.offsets(partitions, 'read-uncommitted'),
    admin.committed(groupId, partitions),
    typeof to === 'object' ? admin.offsetsAt(partitions, to.timestampMs) : [],
  ])
  return topics.map((topic) => ({
    topic,
    bounds: bounds.filter((each) => each.topic === topic.name),
    committed: committed.some((each) => each.topic === topic.name),
    positions: positions.filter((each) => each.topic === topic.name),
  }))
}

/**
 * The action of a reset for each topic. Throws `COMMAND_USAGE` for names that are neither input nor intermediate
 * topics.
 */
export function planReset(facts: readonly TopicFacts[], { request, offsetReset }: ResetRules): readonly ResetTopic[] {
  const requested = requestedKinds(
    request,
    facts.map(({ topic }) => topic),
  )
  return facts.map((fact) => {
    const { name, role, sentBy } = fact.topic
    const records = fact.bounds.reduce((sum, { beginning, end }) => sum + (end - beginning), 0)
    const action = actionOf(fact, { kind: requested.get(name), records, deadLetters: request.deadLetters })
    return { name, role, action, records, offsets: offsetsOf(action, fact, { request, offsetReset }), sentBy }
  })
}

interface Circumstances {
  /** The role that the request gives the topic. */
  readonly kind: 'input' | 'intermediate' | undefined
  readonly records: number
  readonly deadLetters: boolean
}

function actionOf(
  { topic: { role, internal, sentBy }, committed }: TopicFacts,
  { kind, records, deadLetters }: Circumstances,
): ResetTopic['action'] {
  if (kind !== undefined) return kind === 'input' ? 'rewind' : 'skip'
  switch (role) {
    case 'source':
      // Agents write their records again, but nobody repeats records from outside. Records do not name their sender.
      return records > 0 && sentBy.length > 0 ? 'ask' : 'rewind'
    case 'inbox':
      // No record names its sender: either guess could silently make results wrong.
      return records === 0 ? 'rewind' : 'ask'
    case 'between':
      return 'skip'
    case 'output':
      // The topic is read behind `through`, which only the agent's code knows, and the group has committed in it.
      return committed ? 'skip' : 'keep'
    case 'lookalike':
      // Never deleted, because it may belong to another app. Skipping it cannot count it twice, whoever owns it.
      return committed ? 'skip' : records === 0 ? 'keep' : 'ask'
    case 'repartition':
    case 'changelog':
    case 'replies':
      return 'delete'
    case 'global':
      return internal ? 'delete' : 'keep'
    case 'dead letters':
    case 'replays':
      return deadLetters ? 'delete' : 'keep'
    case 'scheduler':
    case 'leader':
    case 'progress':
      // Nothing but committed offsets refers to the records of these topics.
      return 'keep'
  }
}

function offsetsOf(
  action: ResetTopic['action'],
  { bounds, positions }: TopicFacts,
  { request: { to }, offsetReset }: ResetRules,
): readonly PartitionPosition[] {
  const ends = bounds.map(({ topic, partition, end }) => ({ topic, partition, offset: end }))
  if (action === 'skip') return ends
  if (action !== 'rewind') return []
  if (typeof to === 'object') return positions
  if (to === 'end') return ends
  // Without an offset, a worker begins at the first record present when it starts; a committed offset may be deleted by
  // then.
  if (offsetReset === 'earliest') return []
  return bounds.map(({ topic, partition, beginning }) => ({ topic, partition, offset: beginning }))
}

/** The topics that the request names, with their roles. */
function requestedKinds(
  { inputs, intermediates }: ResetRequest,
  topics: readonly AppTopic[],
): ReadonlyMap<string, 'input' | 'intermediate'> {
  const found = new Map<string, 'input' | 'intermediate'>()
  const kinds = [
    ['input', inputs],
    ['intermediate', intermediates],
  ] as const
  for (const [kind, names] of kinds) {
    for (const given of names) {
      const name = topicNamed(given, topics)
      if ((found.get(name) ?? kind) !== kind)
        throw new MillraceError('COMMAND_USAGE', `Topic "${name}" cannot be both an input and an intermediate topic.`)
      found.set(name, kind)
    }
  }
  return found
}

const NAMED: ReadonlySet<AppTopic['role']> = new Set(['source', 'inbox', 'between', 'output', 'lookalike'])

function topicNamed(given: string, topics: readonly AppTopic[]): string {
  const choices = topics.filter(({ role }) => NAMED.has(role))
  const found = choices.find(({ name, owner }) => (given.startsWith('@') ? `@${owner}` === given : name === given))
  if (found !== undefined) return found.name
  const names = choices.flatMap(({ name, owner }) => (owner === undefined ? [name] : [name, `@${owner}`]))
  const other = topics.find(({ name }) => name === given)
  throw new MillraceError(
    'COMMAND_USAGE',
    other === undefined
      ? `The broker has no topic "${given}" that the app reads or writes.${didYouMean(given, names, String)}`
      : `Topic "${given}" was made by Millrace for the app's ${other.role}; that decides what a reset does with it.`,
  )
}

/** Why a topic cannot be reset until the user names its role; `undefined` if every role is known. */
export function undecided(topics: readonly ResetTopic[]): string | undefined {
  const open = topics.filter(({ action }) => action === 'ask')
  if (open.length === 0) return undefined
  const names = open.map(({ name, sentBy }) =>
    sentBy.length === 0 ? name : `${name} (agent ${sentBy.join(', agent ')} was seen to send to it)`,
  )
  return `Whether the records of ${names.join(', ')} came from outside or from agents of the app cannot be told. Name each: with --input they are read again, with --intermediate they are passed over because agents write them again.`
}

/** What to know before confirming. */
export function warningsOf(topics: readonly ResetTopic[]): readonly string[] {
  const named = (wanted: (topic: ResetTopic) => boolean): readonly string[] =>
    topics.filter(wanted).map(({ name }) => name)
  const rewound = named(({ action, role }) => action === 'rewind' && role === 'source')
  const kept = named(({ action, role, records }) => role === 'dead letters' && action === 'keep' && records > 0)
  const outputs = named(({ action, role, records }) => role === 'output' && action !== 'rewind' && records > 0)
  const replayed = named(({ role, records }) => role === 'replays' && records > 0)
  return [
    ...(rewound.length > 1
      ? [
          `If agents of the app write one of ${rewound.join(', ')}, name it with --intermediate: otherwise its records count twice.`,
        ]
      : []),
    ...(outputs.length > 0 ? [`Agents send their records again: ${outputs.join(', ')} will have them twice.`] : []),
    ...(kept.length > 0
      ? [
          `Dead letters stay (${kept.join(', ')}); events that fail again are added to them. --dead-letters deletes them.`,
        ]
      : []),
    ...(replayed.length > 0
      ? [
          'Dead letters that were replayed stand in the input topics a second time, and count twice if they no longer fail.',
        ]
      : []),
  ]
}
