import { MillraceError, type TopicPartition } from '@millrace/core'
import type { BrokerLink } from '../kafkajs/broker-link.ts'
import type { ClusterAccess, ClusterView } from './cluster-view.ts'
import { PassingError } from './retrying.ts'

/**
 * Gives each broker the partitions that it leads, all brokers at once: one try. The view must know the topics. Rejects
 * with `TOPIC_MISSING`, `PARTITION_MISSING`, `PassingError` for a partition without a leader, and what `ask` rejects with.
 */
export async function toLeaders<P extends TopicPartition>(
  { view, links }: ClusterAccess,
  partitions: readonly P[],
  ask: (link: BrokerLink, partitions: readonly P[]) => Promise<void>,
): Promise<void> {
  const byLeader = new Map<number, P[]>()
  for (const partition of partitions) {
    requirePartition(view, partition)
    const leader = view.leader(partition)
    const list = byLeader.get(leader)
    if (list === undefined) byLeader.set(leader, [partition])
    else list.push(partition)
  }
  await Promise.all(
    [...byLeader].map(async ([leader, list]) => {
      const address = view.node(leader)
      if (address === undefined) throw new PassingError(`${list[0]?.topic}/${list[0]?.partition} has no leader.`)
      await ask(await links.to(address), list)
    }),
  )
}

/** Throws `TOPIC_MISSING` or `PARTITION_MISSING` for a partition that the view says is not there. */
export function requirePartition(view: ClusterView, { topic, partition }: TopicPartition): void {
  const refusal = view.refusal(topic)
  if (refusal !== undefined) throw refusal
  const found = view.topic(topic)
  if (found === undefined) throw new MillraceError('TOPIC_MISSING', `Topic "${topic}" does not exist.`)
  if (partition >= found.leaders.length || partition < 0) {
    throw new MillraceError(
      'PARTITION_MISSING',
      `Topic "${topic}" has ${found.leaders.length} partitions, so there is no partition ${partition}.`,
    )
  }
}
