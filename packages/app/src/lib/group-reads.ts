import type { CommitOffset } from '@millrace/core'
import { ANY_SUBSCRIPTION, decodeCommitMetadata } from '@millrace/worker'

/**
 * The topics that a group has committed offsets in, each with the ids of the subscriptions that read it. Which topics the
 * steps of a handler read (`groupBy`, `through`, `merge`) is known only once it runs; but the group has committed in each of
 * them before anything was handled, and its commits name the subscriptions. Offsets that were set by hand name none.
 */
export type GroupReads = ReadonlyMap<string, ReadonlySet<string>>

/** From all that a group has committed. */
export function groupReads(committed: readonly CommitOffset[]): GroupReads {
  const reads = new Map<string, Set<string>>()
  for (const { topic, offset, metadata } of committed) {
    const ids = reads.get(topic) ?? new Set()
    for (const id of decodeCommitMetadata(offset, metadata).keys()) if (id !== ANY_SUBSCRIPTION) ids.add(id)
    reads.set(topic, ids)
  }
  return reads
}

/** The agent that a subscription belongs to; `undefined` when it is none of these. */
export function agentOf(subscriptionId: string, agents: Iterable<string>): string | undefined {
  let found: string | undefined
  for (const agent of agents) {
    const isOf = subscriptionId === agent || subscriptionId.startsWith(`${agent}-`)
    // Of agents `eu` and `eu-west` the longer name.
    if (isOf && agent.length > (found?.length ?? -1)) found = agent
  }
  return found
}
