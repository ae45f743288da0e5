import { byPartition, type CommitOffset, partitionKey, partitionsOf } from '@millrace/core'
import type { AgentLag } from '@millrace/core/operations'
import { decodeCommitMetadata, leaderTopic } from '@millrace/worker'
import { agentOf, groupReads, type GroupReads } from './app-topics.ts'
import { committedOffsets } from './committed.ts'
import type { Connection, DeclaredAgent } from './declared-app.ts'

/** How far each agent is behind, asked of the broker without joining the group. */
export async function agentLag(connection: Connection): Promise<readonly AgentLag[]> {
  const { admin, app } = connection
  const { declared, surroundings } = app
  const { id: groupId, offsetReset } = surroundings.settings
  const [topics, committed] = await Promise.all([admin.topics(), committedOffsets(connection)])
  const existing = new Map(topics.map((topic) => [topic.name, topic]))
  const read = readings(declared.agents(), groupReads(committed), leaderTopic(groupId)).flatMap((reading) => {
    const topic = existing.get(reading.topic)
    return topic === undefined
      ? []
      : partitionsOf(topic.name, topic.partitions).map((partition) => ({ ...reading, partition }))
  })
  const partitions = [...byPartition(read.map(({ partition }) => partition)).values()]
  if (partitions.length === 0) return []
  const bounds = await admin.offsets(partitions, 'read-committed')
  const boundsOf = byPartition(bounds)
  const committedOf = byPartition(committed)
  return read.map(({ agent, subscription, partition }) => {
    const { beginning, end } = boundsOf.get(partitionKey(partition)) ?? { beginning: 0, end: 0 }
    const own = positionOf(subscription, committedOf.get(partitionKey(partition)))
    const from = own === undefined ? (offsetReset === 'earliest' ? beginning : end) : Math.max(own, beginning)
    return { agent, ...partition, committed: own, end, lag: Math.max(end - from, 0) }
  })
}

interface SubscriptionReading {
  readonly agent: string | undefined
  readonly subscription: string | undefined
  readonly topic: string
}

/** The topics that the agents are declared to read, and those where the group committed offsets for their steps. */
function readings(
  agents: readonly Pick<DeclaredAgent, 'name' | 'topics'>[],
  reads: GroupReads,
  leader: string,
): readonly SubscriptionReading[] {
  const names = agents.map(({ name }) => name)
  const sources = new Set(agents.flatMap(({ topics }) => topics))
  const steps = [...reads].flatMap(([topic, ids]) =>
    [...ids].flatMap((subscription): readonly SubscriptionReading[] => {
      const agent = agentOf(subscription, names)
      // Ignores topics that no longer exist and subscriptions whose declaration has changed: no agent reads them.
      return agent === undefined || agent === subscription ? [] : [{ agent, subscription, topic }]
    }),
  )
  const unnamed = [...reads].flatMap(([topic, ids]) =>
    ids.size === 0 && !sources.has(topic) && topic !== leader
      ? [{ agent: undefined, subscription: undefined, topic }]
      : [],
  )
  const byTopic = (a: SubscriptionReading, b: SubscriptionReading): number => (a.topic < b.topic ? -1 : 1)
  return [
    ...agents.flatMap(({ name, topics }) =>
      [
        ...topics.map((topic) => ({ agent: name, subscription: name, topic })),
        ...steps.filter(({ agent }) => agent === name),
      ].toSorted(byTopic),
    ),
    ...unnamed.toSorted(byTopic),
  ]
}

/**
 * Subscriptions of one topic have different offsets: the lowest is the committed offset, the others are in its
 * metadata.
 */
function positionOf(subscription: string | undefined, saved: CommitOffset | undefined): number | undefined {
  if (saved === undefined || subscription === undefined) return saved?.offset
  return decodeCommitMetadata(saved).get(subscription)?.position ?? saved.offset
}
