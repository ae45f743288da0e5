import { toError } from '@millrace/core'
import { CoordinatorLink } from '../cluster/coordinator.ts'
import type { OpenStateOptions } from '../cluster/part-context.ts'
import { leaveGroupRequest } from '../wire/requests/leave-group.ts'
import type { Membership } from '../wire/requests/membership.ts'

const LEAVE_LIMIT_MS = 3_000

/**
 * Leaves over a connection of its own: on the member's, the request would wait behind a JoinGroup. A static member
 * leaves too, as the contract has it: its id keeps its partitions when the process dies, not when it is shut down.
 */
export async function leaveGroup(
  { groupId, memberId, instanceId }: Omit<Membership, 'generation'>,
  { view, control, clock, log }: Pick<OpenStateOptions, 'view' | 'control' | 'clock' | 'log'>,
): Promise<void> {
  const limit = new AbortController()
  const timeout = clock.sleep(LEAVE_LIMIT_MS, limit.signal).catch(() => undefined)
  const coordinator = new CoordinatorLink('group', groupId, { view, links: control })
  const left = coordinator.send(leaveGroupRequest({ groupId, generation: -1, memberId, instanceId })).then(
    () => undefined,
    (error: unknown) =>
      log.debug({ groupId, error: toError(error).message }, 'The group could not be left: it will notice by itself.'),
  )
  await Promise.race([left, timeout])
  limit.abort()
}
