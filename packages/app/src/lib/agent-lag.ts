import type { Admin, AgentLag, ResolvedSettings, TopicInfo, TopicPartition } from '@millrace/core'
import { partitionKey } from '@millrace/core'
import { decodeCommitMetadata } from '@millrace/worker'
import type { Definitions } from './definitions.ts'
import { describeAgent } from './describe-app.ts'
import { repartitionTopics } from './app-topics.ts'

/** How far each agent is behind, asked of the broker without joining the group. */
export async function agentLag(
  admin: Admin,
  { agents }: Pick<Definitions, 'agents'>,
  { id: groupId, offsetReset }: Pick<ResolvedSettings, 'id' | 'offsetReset'>,
): Promise<readonly AgentLag[]> {
  const existing = new Map((await admin.topics()).map((topic) => [topic.name, topic]))
  const read = [...agents.values()].flatMap((agent) =>
    [...describeAgent(agent).topics, ...repartitionTopics(groupId, agent.name, existing.keys())]
      .sort()
      .flatMap((name) => existing.get(name) ?? [])
      .flatMap(partitionsOf)
      .map((partition) => ({ agent: agent.name, partition })),
  )
  const partitions = [...new Map(read.map(({ partition }) => [partitionKey(partition), partition])).values()]
  if (partitions.length === 0) return []
  const [bounds, committed] = await Promise.all([
    admin.offsets(partitions, 'read-committed'),
    admin.committed(groupId, partitions),
  ])
  const boundsOf = new Map(bounds.map((each) => [partitionKey(each), each]))
  const committedOf = new Map(committed.map((each) => [partitionKey(each), each]))
  return read.map(({ agent, partition }) => {
    const { beginning, end } = boundsOf.get(partitionKey(partition)) ?? { beginning: 0, end: 0 }
    const saved = committedOf.get(partitionKey(partition))
    // Agents of one topic stand at different offsets: the one committed is the lowest, the others are noted with it.
    const own = saved && (decodeCommitMetadata(saved.offset, saved.metadata).get(agent)?.position ?? saved.offset)
    const from = own === undefined ? (offsetReset === 'earliest' ? beginning : end) : Math.max(own, beginning)
    return { agent, ...partition, committed: own, end, lag: Math.max(end - from, 0) }
  })
}

function partitionsOf({ name: topic, partitions }: TopicInfo): readonly TopicPartition[] {
  return Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
}
