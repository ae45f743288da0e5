import type { GroupData } from './group-data.ts'

type GroupSeen = Pick<GroupData, 'owners' | 'members' | 'warmUps'>

export interface RebalanceSeen {
  readonly before: GroupSeen
  readonly after: GroupSeen
  readonly self: string
  readonly isFirst: boolean
}

/** Why there was a rebalance, as far as a member can see from the group before and after it. */
export function rebalanceReason({ before, after, self, isFirst }: RebalanceSeen): string {
  if (isFirst) return 'this worker joined'
  // After the membership was lost nothing is known of the group before.
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
      ? [`${warm === 1 ? 'a task' : `${warm} tasks`} moved to where ${warm === 1 ? 'it is' : 'they are'} warm`]
      : []),
  ]
  return parts.length > 0 ? parts.join(', ') : 'nobody joined or left'
}

function workers(count: number): string {
  return count === 1 ? 'a worker' : `${count} workers`
}
