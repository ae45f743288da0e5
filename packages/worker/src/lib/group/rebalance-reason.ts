import type { GroupData } from './group-data.ts'

type GroupSeen = Pick<GroupData, 'owners' | 'members' | 'warmUps'>

export interface RebalanceSeen {
  readonly before: GroupSeen
  readonly after: GroupSeen
  readonly self: string
  readonly isFirst: boolean
}

/** The reason of a rebalance, as far as a member can see it from the group before and after. */
export function rebalanceReason({ before, after, self, isFirst }: RebalanceSeen): string {
  if (isFirst) return 'this worker joined'
  // After a loss of membership the previous group is unknown.
  if (before.members.size === 0) return 'this worker joined again'
  const came = [...after.members.keys()].filter((member) => !before.members.has(member) && member !== self).length
  const went = [...before.members.keys()].filter((member) => !after.members.has(member) && member !== self).length
  const warm = [...before.owners].filter(([task, { member: from }]) => {
    const to = after.owners.get(task)?.member
    if (to === undefined || to === from || !after.members.has(from)) return false
    return before.warmUps.get(task) === to
  }).length
  const parts = [
    ...(came > 0 ? [`${workers(came)} joined`] : []),
    ...(went > 0 ? [`${workers(went)} left`] : []),
    ...(warm > 0
      ? [`${warm === 1 ? 'a task' : `${warm} tasks`} moved to ${warm === 1 ? 'its warm copy' : 'their warm copies'}`]
      : []),
  ]
  return parts.length > 0 ? parts.join(', ') : 'nobody joined or left'
}

function workers(count: number): string {
  return count === 1 ? 'a worker' : `${count} workers`
}
