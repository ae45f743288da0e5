import { grouped, MillraceError, type TopicPartition } from '@millrace/core'
import type { BrokerLink } from '../kafkajs/broker-link.ts'
import type { ClusterAccess, ClusterView } from './cluster-view.ts'
import { PassingError } from './retrying.ts'

/**
 * Gives each broker the partitions that it leads, all brokers concurrently, in one attempt. The view must know the
 * topics. Rejects with `TOPIC_MISSING`, `PARTITION_MISSING`, with `PassingError` for a partition without a leader, and
 * with the errors of `ask`.
 */
export async function toLeaders<P extends TopicPartition>(
  { view, links }: ClusterAccess,
  partitions: readonly P[],
  ask: (link: BrokerLink, partitions: readonly P[]) => Promise<void>,
): Promise<void> {
  for (const partition of partitions) requirePartition(view, partition)
  const byLeader = grouped(partitions, (partition) => view.leader(partition))
  await Promise.all(
    [...byLeader].map(async ([leader, list]) => {
      const address = view.node(leader)
      if (address === undefined) throw new PassingError(`${list[0]?.topic}/${list[0]?.partition} has no leader.`)
      await ask(await links.to(address), list)
    }),
  )
}

/** Throws `TOPIC_MISSING` or `PARTITION_MISSING` for a partition that does not exist according to the view. */
export function requirePartition(view: ClusterView, { topic, partition }: TopicPartition): void {
  const refusal = view.refusal(topic)
  if (refusal !== undefined) throw refusal
  const found = view.topic(topic)
  if (found === undefined) throw missingTopic(topic)
  const { length } = found.leaders
  if (partition >= length || partition < 0) throw missingPartition({ topic, partition }, length)
}

export function missingTopic(topic: string): MillraceError {
  return new MillraceError('TOPIC_MISSING', `Topic "${topic}" does not exist.`)
}

export function missingPartition({ topic, partition }: TopicPartition, partitions: number): MillraceError {
  return new MillraceError(
    'PARTITION_MISSING',
    `Topic "${topic}" has ${partitions} partitions, so there is no partition ${partition}.`,
  )
}
