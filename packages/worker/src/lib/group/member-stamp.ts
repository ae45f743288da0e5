import { createHash } from 'node:crypto'
import type { GroupData } from './group-data.ts'
import type { MemberData } from './member-data.ts'

/** Stands for the topology of a member. */
export function topologyStamp(groups: MemberData['groups']): string {
  const topology = [...groups]
    .toSorted(([a], [b]) => a - b)
    .map(([partitions, { topics, parts, standbys }]) => [
      partitions,
      topics.toSorted(),
      parts.toSorted(),
      standbys ?? 0,
    ])
  return createHash('sha256').update(JSON.stringify(topology)).digest('base64url').slice(0, 8)
}

/**
 * Whether an assignment was made for an earlier run of this member, and its topology or its web address has changed since:
 * a static member that comes back gets the assignment that was made for the one before it.
 */
export function isOutdated(
  { stamps, members }: Pick<GroupData, 'stamps' | 'members'>,
  name: string,
  told: Pick<MemberData, 'groups' | 'address'>,
): boolean {
  // A leader of another version says nothing of stamps; asking it again would change nothing.
  const stamp = stamps.get(name)
  return stamp !== undefined && (stamp !== topologyStamp(told.groups) || members.get(name) !== told.address)
}
