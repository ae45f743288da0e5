import { createHash } from 'node:crypto'
import type { GroupData } from './group-data.ts'
import type { MemberData } from './member-data.ts'

/**
 * Stands for what others need to know of a member beside its tasks: its topology and its web address. A static member that
 * comes back gets the assignment that was made for the one before it; by the stamp it sees whether that still fits.
 */
export function memberStamp({ groups, address }: Pick<MemberData, 'groups' | 'address'>): string {
  const topology = [...groups]
    .toSorted(([a], [b]) => a - b)
    .map(([partitions, { topics, parts, standbys }]) => [
      partitions,
      topics.toSorted(),
      parts.toSorted(),
      standbys ?? 0,
    ])
  return createHash('sha256')
    .update(JSON.stringify([topology, address]))
    .digest('base64url')
    .slice(0, 12)
}

/** Whether an assignment was made for an earlier run of this member, of which something has changed since. */
export function isOutdated(
  group: Pick<GroupData, 'stamps'>,
  self: { readonly instanceId: string | undefined; readonly stamp: string | undefined },
): boolean {
  if (self.instanceId === undefined || self.stamp === undefined) return false
  // A leader of another version says nothing of stamps; asking it again would change nothing.
  const told = group.stamps.get(self.instanceId)
  return told !== undefined && told !== self.stamp
}
