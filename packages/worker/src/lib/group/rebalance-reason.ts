import type { GroupData } from './group-data.ts'

export interface RebalanceSeen {
  readonly before: Pick<GroupData, 'owners'>
  readonly after: Pick<GroupData, 'owners'>
  readonly self: string
  readonly isFirst: boolean
}

/** Why there was a rebalance, as far as a member can tell from who has tasks before and after it. */
export function rebalanceReason({ before, after, self, isFirst }: RebalanceSeen): string {
  if (isFirst) return 'this worker joined'
  // After the membership was lost nothing is known of the group before.
  if (before.owners.size === 0) return 'this worker joined again'
  const was = membersOf(before)
  const is = membersOf(after)
  const came = [...is].filter((member) => !was.has(member) && member !== self).length
  const went = [...was].filter((member) => !is.has(member) && member !== self).length
  const parts = [...(came > 0 ? [`${workers(came)} joined`] : []), ...(went > 0 ? [`${workers(went)} left`] : [])]
  return parts.length > 0 ? parts.join(', ') : 'no change of who has tasks'
}

function membersOf({ owners }: Pick<GroupData, 'owners'>): ReadonlySet<string> {
  return new Set([...owners.values()].map(({ member }) => member))
}

function workers(count: number): string {
  return count === 1 ? 'a worker' : `${count} workers`
}
